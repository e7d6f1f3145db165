//! How a store tells caches of what others change in it.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::Result;
use crate::record::Record;
use crate::token::Key;

/// Tells of changes in a store, so that a cache over it is never stale for long.
///
/// What is told comes from **sources**: one for each connection that hears of changes, such as one
/// to each server of a cluster. What holds for every source that is up:
///
/// 1. Every change of a record is told by the source that [`Feed::source`] named when the record
///    was read, or that source goes down. A change that was made through this very store may go
///    untold; then its call is over, or it happens no more, before a beat is answered that was
///    asked for after its caller had given it up.
/// 2. The answer to a beat comes after everything that the source had to tell when the beat was
///    asked for.
/// 3. A beat is answered only by a server that may change records: not by one that has lost its
///    part to another.
/// 4. A call that was carried out elsewhere than at the source that was named for its key is
///    followed by [`Notice::Changed`], before it is answered.
/// 5. What is told with its content ([`Notice::Told`]) is told in the order in which it happened,
///    and is no older than anything that a call on this very store has been answered with.
#[async_trait]
pub trait Feed: Debug + Send + Sync {
    /// Tells `notices` of everything from now on, and nobody else any more. Sources that were up
    /// before go down, or are told to be up.
    fn follow(&self, notices: Arc<dyn Notices>);

    /// The source that calls on `key` go to now; `None` where none is up.
    fn source(&self, key: Key) -> Option<Source>;

    /// Asks a source whether it is still there.
    async fn beat(&self, source: Source) -> Result<()>;

    /// Gives up a source that does not answer: it goes down, and another one comes up for its
    /// keys sooner or later.
    fn reset(&self, source: Source);
}

/// Hears of changes. Called wherever they become known: returns at once, and calls nothing.
pub trait Notices: Debug + Send + Sync {
    /// Hears of one.
    fn hear(&self, notice: Notice);
}

/// What a feed tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// A source tells of every change from now on, of what was read through it from now on.
    Up(Source),
    /// A source tells of nothing any more, and does not come back.
    Down(Source),
    /// Everything that was read through a source may have changed.
    Flushed(Source),
    /// A record may have changed, or be gone.
    Changed(Key),
    /// A record has come to this version. Not from a source that tells of one change after each
    /// read: what is kept at this version stays, and would hear of nothing more. Touches, which
    /// leave the version alone, need not be told this way.
    Reached(Key, u64),
    /// A record has changed, and has come to this. A source may begin to tell before it is up: what
    /// it has told by then is served when it is.
    Told {
        /// What tells of the next change.
        source: Source,
        /// Whose record it is.
        key: Key,
        /// The record as it is now.
        record: Arc<Record>,
    },
}

/// Names one source among all of this process, those that are down included.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Source(u64);

impl Source {
    /// A source that no other is.
    pub fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A source with a number of the caller's own, for a model that has to come to the same states
    /// again.
    #[cfg(test)]
    pub(crate) const fn numbered(number: u64) -> Self {
        Self(number)
    }
}
