//! What went wrong, in the words of the store trait: not asked, not answered, refused.
//!
//! An error of the driver never holds the password of the URL: it carries what the server or the
//! operating system said, and neither is told a secret that it would repeat.

use std::error::Error as StdError;
use std::fmt;

use cloakroom_core::store::Error;
use redis::{ErrorKind, RedisError, Value};

/// What the driver said. Its errors print what their sources print, so one of the two is passed
/// over where causes are listed.
#[derive(Debug)]
pub(crate) struct Said(pub(crate) RedisError);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Said {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().and_then(StdError::source)
    }
}

/// What was connected to speaks another language. What the parser stumbled over tells nobody
/// anything, so it is kept for debugging only.
#[derive(Debug, thiserror::Error)]
#[error("this is no Redis server")]
struct NoRedis {
    said: Said,
}

/// Sorts a failure to connect. Nothing has been sent, so nothing has changed.
pub(crate) fn connecting(error: RedisError) -> Error {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed => {
            Error::Refused(Said(error).into())
        }
        ErrorKind::Parse => Error::Unreachable(NoRedis { said: Said(error) }.into()),
        _ => Error::Unreachable(Said(error).into()),
    }
}

/// Sorts a failure of a command that was handed to the driver.
///
/// Only an answer of the server that says no proves that the command did nothing. The driver
/// reports a command that it could not write like one whose answer did not come, so all else is
/// unknown.
pub(crate) fn sent(error: RedisError) -> Error {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => Error::Refused(Said(error).into()),
        _ => Error::Unanswered(Said(error).into()),
    }
}

/// The server answered with something that no server of ours answers.
#[derive(Debug, thiserror::Error)]
#[error("the server's reply to {command} is of an unexpected type")]
struct UnexpectedReply {
    command: &'static str,
}

/// Sorts a reply of a wrong type: whatever answered may have acted. The reply is not shown; it
/// may hold a user's values.
pub(crate) fn unexpected(command: &'static str) -> Error {
    Error::Unanswered(UnexpectedReply { command }.into())
}

/// Takes a reply, or the error that it is.
pub(crate) fn reply(value: Value) -> Result<Value, Error> {
    value.extract_error().map_err(sent)
}
