//! What went wrong, in the words of the store trait: not asked, not answered, refused.
//!
//! An error of the driver never holds the password of the URL: it carries what the server or the
//! operating system said, and neither is told a secret that it would repeat.

use std::error::Error as StdError;
use std::fmt;

use cloakroom_core::store::Error;
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};

/// What the driver said. Its errors print what their sources print, so one of the two is passed
/// over where causes are listed.
#[derive(Debug)]
pub(crate) struct Said(RedisError);

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

/// Why a command has no good answer, in the driver's words. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// There is no connection. Nothing has been sent, so nothing has changed.
    Connecting(RedisError),
    /// There is nobody to connect to. Nothing has been sent.
    Nobody(Nobody),
    /// The command was handed to the driver.
    Sent(RedisError),
    /// The answer is none to the command.
    Unexpected(&'static str),
}

/// Why there is nobody to connect to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Nobody {
    #[error("this connection to the Redis server is there no more")]
    Replaced,
    #[error("nobody has answered in time")]
    Slow,
    #[error("the sentinels name a Redis server that is no master, or not yet")]
    Demoted,
    #[error("the sentinels know no master by the name of {master}: see `?master=`")]
    Unknown {
        /// The name.
        master: String,
    },
    #[error(
        "the server at {address} is no sentinel: name sentinels, or use redis:// for one server"
    )]
    NoSentinel {
        /// Where it is.
        address: String,
    },
    #[error("the server at {address} is no node of a cluster: use redis:// for one server")]
    NoCluster {
        /// Where it is.
        address: String,
    },
    #[error("no master of the cluster has this part of the sessions now")]
    Unserved,
}

impl Fault {
    /// The server's own answer, where it gave one: proof that the command did nothing.
    pub(crate) fn said(&self) -> Option<&RedisError> {
        match self {
            Self::Sent(error) if is_answer(error) => Some(error),
            _ => None,
        }
    }

    /// The server's own answer, where it is of this kind.
    pub(crate) fn is(&self, kind: ServerErrorKind) -> bool {
        self.said().is_some_and(|error| error.kind() == ErrorKind::Server(kind))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Connecting(error) => connecting(error),
            Fault::Nobody(nobody) => Self::Unreachable(nobody.into()),
            Fault::Sent(error) => sent(error),
            Fault::Unexpected(command) => unexpected(command),
        }
    }
}

fn is_answer(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

/// Whether a server says that it is no master, or none that can be written to: its place is
/// somebody else's. The scripts of older servers quote what a command inside them was told.
pub(crate) fn is_no_master(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => true,
        ErrorKind::Server(ServerErrorKind::ResponseError) => {
            error.detail().is_some_and(|detail| detail.contains("-READONLY "))
        }
        _ => false,
    }
}

/// Sorts a failure to connect.
fn connecting(error: RedisError) -> Error {
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
fn sent(error: RedisError) -> Error {
    match is_answer(&error) {
        true => Error::Refused(Said(error).into()),
        false => Error::Unanswered(Said(error).into()),
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
pub(crate) fn reply(value: Value) -> Result<Value, Fault> {
    value.extract_error().map_err(Fault::Sent)
}
