//! What went wrong, in the words of the store trait: not asked, not answered, refused.
//!
//! What a server writes into an error may quote the whole command, with the values in it; what the
//! driver prints holds the server's answer. So neither is passed on: the code is, and its name.

use std::fmt;

use cloakroom_core::store::Error;
use mongodb::error::{Error as Said, ErrorKind, SYSTEM_OVERLOADED_ERROR, WriteFailure};

/// The server's answers that leave open whether it has acted: it was interrupted, stepped down, or
/// is a router that has lost the server behind it.
const AMBIGUOUS: [i32; 12] = [6, 7, 50, 64, 89, 91, 189, 202, 262, 9001, 11_600, 11_602];
/// A document with this name is there already.
const DUPLICATE_KEY: i32 = 11_000;

/// What went wrong, without anything that somebody else has put there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the MongoDB server refuses: {0}")]
    Server(Code),
    #[error("the MongoDB server has written, but not as safely as it was asked to: {0}")]
    Unsafe(Code),
    #[error("the MongoDB server does not accept the name or the password")]
    Credentials,
    #[error("no MongoDB server can be written to: {0}")]
    Nobody(String),
    #[error("the connection to the MongoDB server has failed: {0}")]
    Connection(String),
    #[error("the connections to the MongoDB server were given up, because another one has failed")]
    GivenUp,
    #[error("the MongoDB server has not answered in time")]
    Slow,
    #[error("the answer of the MongoDB server cannot be understood")]
    Unexpected,
    #[error("the driver does not send what it is asked to: {0}")]
    Unsent(&'static str),
}

/// What a server calls an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Code {
    number: i32,
    name: String,
}

impl Code {
    fn of(number: i32, name: &str) -> Self {
        // A name is a word. What is none may be anything.
        let is_name = name.chars().all(|letter| letter.is_ascii_alphanumeric());
        Self { number, name: if is_name { name.to_owned() } else { String::new() } }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.is_empty() {
            true => write!(f, "error {}", self.number),
            false => write!(f, "{} (error {})", self.name, self.number),
        }
    }
}

/// Whether nothing was written because the document is there.
pub(crate) fn is_duplicate(said: &Said) -> bool {
    match &*said.kind {
        ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// Sorts what the driver said of a command that it was to send.
pub(crate) fn sort(said: &Said) -> Error {
    match &*said.kind {
        ErrorKind::Command(error) => {
            let code = Code::of(error.code, &error.code_name);
            match AMBIGUOUS.contains(&error.code) {
                true => Error::Unanswered(Fault::Server(code).into()),
                false => Error::Refused(Fault::Server(code).into()),
            }
        }
        ErrorKind::Write(WriteFailure::WriteError(error)) => {
            let name = error.code_name.as_deref().unwrap_or_default();
            Error::Refused(Fault::Server(Code::of(error.code, name)).into())
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            Error::Unanswered(Fault::Unsafe(Code::of(error.code, &error.code_name)).into())
        }
        _ => sort_own(said),
    }
}

/// Sorts what is the driver's own, and no server's.
fn sort_own(said: &Said) -> Error {
    match &*said.kind {
        ErrorKind::Authentication { .. } => Error::Refused(Fault::Credentials.into()),
        ErrorKind::ServerSelection { message, .. } => {
            Error::Unreachable(Fault::Nobody(message.clone()).into())
        }
        ErrorKind::DnsResolve { message, .. } | ErrorKind::InvalidTlsConfig { message, .. } => {
            Error::Unreachable(Fault::Connection(message.clone()).into())
        }
        // The driver marks what went wrong before there was a connection to send anything on.
        ErrorKind::Io(error) if said.contains_label(SYSTEM_OVERLOADED_ERROR) => {
            Error::Unreachable(Fault::Connection(error.to_string()).into())
        }
        ErrorKind::Io(error) => Error::Unanswered(Fault::Connection(error.to_string()).into()),
        ErrorKind::ConnectionPoolCleared { .. } => Error::Unanswered(Fault::GivenUp.into()),
        ErrorKind::InvalidArgument { .. } => refused("it is too large, or not valid"),
        ErrorKind::IncompatibleServer { .. } => refused("the server is too old"),
        ErrorKind::SessionsNotSupported => refused("the server has no sessions of its own"),
        ErrorKind::Shutdown => refused("it was shut down"),
        _ => Error::Unanswered(Fault::Unexpected.into()),
    }
}

fn refused(why: &'static str) -> Error {
    Error::Refused(Fault::Unsent(why).into())
}

/// No answer has come in time to what was, or may have been, sent.
pub(crate) fn slow() -> Error {
    Error::Unanswered(Fault::Slow.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_shows_its_name_and_nothing_that_is_none() {
        assert_eq!(Code::of(13, "Unauthorized").to_string(), "Unauthorized (error 13)");
        assert_eq!(Code::of(13, "not { a: 1 }").to_string(), "error 13");
        assert_eq!(Code::of(13, "").to_string(), "error 13");
    }

    #[test]
    fn what_never_left_is_unreachable_and_what_may_have_is_unanswered() {
        let io = Said::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(matches!(sort(&io), Error::Unanswered(_)));
        let own = Said::custom("what a server said");
        let error = sort(&own);
        assert!(matches!(error, Error::Unanswered(_)));
        assert!(!format!("{error:?}").contains("said"), "{error:?}");
    }
}
