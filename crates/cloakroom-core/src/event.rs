//! What happens to sessions, for those who want to know.

use std::error::Error;
use std::fmt::Debug;

use async_trait::async_trait;

pub use crate::ended::Ended;
use crate::record::Record;
use crate::token::Key;

/// A session that has ended, with what it held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ending {
    /// Which session. Also the key under which a listener recognises a second announcement.
    pub key: Key,
    /// Why.
    pub reason: Ended,
    /// What it held when it ended.
    pub record: Record,
}

/// What a node saw or did, told on that node only.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A session was stored for the first time.
    Created {
        /// Which.
        key: Key,
    },
    /// A commit changed it.
    Changed {
        /// Which.
        key: Key,
        /// The attributes that the commit wrote or removed.
        names: Vec<String>,
        /// The record's version with the commit in it.
        version: u64,
    },
    /// Its token was replaced, by a login or by time.
    Rotated {
        /// Which.
        key: Key,
    },
    /// Somebody signed in.
    LoggedIn {
        /// Under which session.
        key: Key,
        /// Who.
        principal: String,
    },
    /// A well-formed token opened nothing: it ended, was rotated away, or was guessed.
    UnknownToken {
        /// The key that it named.
        key: Key,
    },
    /// A sealed session did not open: it is over, was sealed for something else or with a key that is
    /// removed, or is forged.
    UnknownSeal,
    /// One client presented the tokens of two living sessions; neither was opened.
    TwoSessions {
        /// The one.
        first: Key,
        /// The other.
        second: Key,
    },
    /// One client presented more tokens than are looked up; none was.
    TooManyTokens {
        /// How many there were, or were looked at.
        found: usize,
    },
    /// An attribute's stored value does not decode as the type that was asked for.
    Undecodable {
        /// The session; `None` before it is stored.
        key: Option<Key>,
        /// The attribute.
        name: String,
    },
    /// This node's clock and the store's disagree; the node does not sweep until they agree.
    ClockSkew {
        /// By how many milliseconds; positive where this node is ahead.
        ahead_by_millis: i64,
    },
}

/// Hears of sessions. Each method does nothing unless it is written.
#[async_trait]
pub trait Listener: Debug + Send + Sync + 'static {
    /// Hears what this node saw or did. Called in the middle of a request: return quickly.
    fn on_event(&self, _event: &Event) {}

    /// Hears that a session has ended, on one node of all. Where the store keeps endings, an error
    /// has it announced again later, on any node: at least once, with `ending.key` the same.
    /// Elsewhere at most once.
    async fn on_ended(&self, _ending: &Ending) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}
