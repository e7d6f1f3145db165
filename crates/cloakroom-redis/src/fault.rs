//! What went wrong, in the words of the store trait: not asked, not answered, refused.
//!
//! An error of the driver never holds the password of the URL: it carries what the server or the
//! operating system said, and neither is told a secret that it would repeat.

use cloakroom_core::store::Error;
use redis::{ErrorKind, RedisError, Value};

/// Sorts a failure to connect. Nothing has been sent, so nothing has changed.
pub(crate) fn connecting(error: RedisError) -> Error {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed => {
            Error::Refused(error.into())
        }
        _ => Error::Unreachable(error.into()),
    }
}

/// Sorts a failure of a command that was handed to the driver.
///
/// Only an answer of the server that says no proves that the command did nothing. The driver
/// reports a command that it could not write like one whose answer did not come, so all else is
/// unknown.
pub(crate) fn sent(error: RedisError) -> Error {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => Error::Refused(error.into()),
        _ => Error::Unanswered(error.into()),
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
