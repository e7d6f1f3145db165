//! A load that several readers wait for: as long as one of them does, it goes on.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use futures_util::future::{BoxFuture, Shared, WeakShared};

use super::super::{Error, Source};
use crate::record::Record;

/// What a load brings to all.
pub(super) type Answer = Result<Option<Arc<Record>>, Arc<Error>>;
/// A load, as its readers hold it.
pub(super) type Load = Shared<BoxFuture<'static, Answer>>;
/// A load, as those find it who come later. Does not keep it going.
pub(super) type WeakLoad = WeakShared<BoxFuture<'static, Answer>>;

/// An error that several are told, with the same cause.
pub(super) fn again(error: &Arc<Error>) -> Error {
    let cause: Source = Box::new(Cause(Arc::clone(error)));
    match &**error {
        Error::Unreachable(_) => Error::Unreachable(cause),
        Error::Unanswered(_) => Error::Unanswered(cause),
        Error::Refused(_) => Error::Refused(cause),
        Error::Unreadable { key, source } => Error::Unreadable { key: *key, source: *source },
    }
}

/// The cause of an error that is shared.
struct Cause(Arc<Error>);

impl Cause {
    fn get(&self) -> &(dyn StdError + 'static) {
        match &*self.0 {
            Error::Unreachable(source) | Error::Unanswered(source) | Error::Refused(source) => {
                &**source
            }
            Error::Unreadable { source, .. } => source,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.get(), f)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.get(), f)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.get().source()
    }
}
