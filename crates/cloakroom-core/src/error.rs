//! What a session can answer instead of what it was asked.

use crate::commit::{Limit, Outcome};
use crate::store;
use crate::token::Key;

/// A session's answer, or why there is none.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a session did not do as it was asked. No variant carries an attribute's value or a token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store gave no answer: nobody knows whether there is a session. The client keeps its
    /// token and may try again; nothing of this commit was applied.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The store was asked to commit and its answer was lost, and the record does not show what
    /// became of it: the commit was applied once or not at all. Or an earlier step was applied and
    /// a later one was not, as where another user's login has ended the old session.
    #[error("the session store did not confirm the commit; it was applied once or not at all")]
    OutcomeUnknown,
    /// The work did not end within the policy's deadline. A commit that was under way was applied
    /// once or not at all.
    #[error("the session store did not answer within the deadline")]
    DeadlinePassed,
    /// The session has ended; nothing was applied.
    #[error("this session has ended")]
    Ended,
    /// The token was replaced by a login a moment ago: the client has, or is about to get, a new
    /// one and should send the request again with that.
    #[error("this session's token was just replaced by a login; send the request again")]
    Settling,
    /// The response is on its way, or an earlier commit failed: this handle takes no more edits.
    #[error("this request's session is closed; nothing can be changed any more")]
    Closed,
    /// A limit stands against the commit; nothing was applied.
    #[error(transparent)]
    Limit(#[from] Limit),
    /// An attribute is larger than the policy allows.
    #[error("the attribute `{name}` has {bytes} bytes; the limit is {most}")]
    AttributeTooLarge {
        /// The attribute.
        name: String,
        /// Its size.
        bytes: usize,
        /// The policy's `attribute_bytes`.
        most: usize,
    },
    /// A name that no attribute can have: empty, longer than the policy's `name_bytes`, or
    /// beginning with `@`, which the session system keeps for itself.
    #[error("`{name}` cannot name an attribute: it {why}")]
    BadName {
        /// The beginning of the name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A principal that is empty or longer than the policy's `principal_bytes`.
    #[error("a principal must have between 1 and {most} bytes")]
    BadPrincipal {
        /// The policy's `principal_bytes`.
        most: usize,
    },
    /// The stored value is not of the type that was asked for.
    #[error(
        "the attribute `{name}` does not decode as `{expected}` (at line {line}, column {column})"
    )]
    Undecodable {
        /// The attribute.
        name: String,
        /// The type that was asked for.
        expected: &'static str,
        /// Where decoding stopped.
        line: usize,
        /// Where decoding stopped.
        column: usize,
    },
    /// The value given has no JSON form.
    #[error("the attribute `{name}` cannot be encoded as JSON")]
    Unencodable {
        /// The attribute.
        name: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// One client presented the tokens of two living sessions. Neither is opened.
    #[error("the request carries the tokens of two sessions ({first} and {second})")]
    TwoSessions {
        /// The one.
        first: Key,
        /// The other.
        second: Key,
    },
    /// One client presented more tokens than the policy's `tokens_tried`. None is opened: a living
    /// session could hide behind the others.
    #[error("the request carries more than {most} tokens")]
    TooManyTokens {
        /// The policy's `tokens_tried`.
        most: usize,
    },
    /// Sessions are sealed and kept by their clients: none has a token, is found by its key, listed,
    /// counted or ended by itself.
    #[error("sealed sessions are kept by their clients; only a store finds, lists or ends one")]
    HeldByClient,
    /// To end all of a user's sealed sessions takes a store for epochs.
    #[error("sealed sessions are ended from elsewhere by epochs; give `Sealed::epochs` a store")]
    NoEpochs,
    /// These sessions are kept in a store: they are opened by tokens.
    #[error("these sessions are kept in a store; open them by their tokens")]
    NotSealed,
    /// The store cannot do this at all; it does not list or count sessions.
    #[error("this session store keeps no directory of sessions")]
    NoDirectory,
}

impl Outcome {
    /// The record's version where the commit was done; otherwise why it was not, as an error:
    /// [`Error::Limit`] or [`Error::Ended`].
    pub fn done(self) -> Result<u64> {
        match self {
            Self::Done { version } => Ok(version),
            Self::Refused(limit) => Err(limit.into()),
            Self::Gone | Self::Barred | Self::Conflict(_) => Err(Error::Ended),
        }
    }
}
