//! What a backend that can compare and swap has to do, for [`Cas`](super::Cas) to make a store of
//! it.

use std::fmt::{self, Debug};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::envelope::Label;
use crate::store::{Feed, Result};
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// Bytes that name a principal's place.
const NAME: usize = 16;

/// Keeps bytes in named places, each changed only by who knows what is in it.
///
/// No method is called again by itself after it failed: where a swap may have been carried out and
/// its answer did not come, that is [`Error::Unanswered`](crate::store::Error::Unanswered).
#[async_trait]
pub trait Register: Debug + Send + Sync + 'static {
    /// What is in a place, as the backend has it now.
    async fn get(&self, place: Place) -> Result<Option<Held>>;

    /// Puts `to` into a place where `from` still is what is there, or removes it; in one atomic
    /// step.
    ///
    /// `from` is as [`Register::get`] told it, or has no revision: then it is told by its bytes.
    async fn swap(&self, place: Place, from: Option<&Held>, to: Option<&Put>) -> Result<Swapped>;

    /// Up to `limit` places that are due at `now`, with what is in them. Those that have been due
    /// the longest should come first; all of them are found by somebody who changes what he finds
    /// and goes on for as long as there is something.
    async fn due(&self, what: Due, limit: usize, now: Timestamp) -> Result<Vec<(Key, Held)>>;

    /// Up to `limit` keys of a kind whose [`Label::alive_until`] is after `now`, in an order of the
    /// backend's own, from behind `after` on.
    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>>;

    /// How many places of a kind have an [`Label::alive_until`] after `now`.
    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64>;

    /// The backend's own clock, where it has one that can be asked.
    async fn clock(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    /// What tells a cache of changes, by the keys of the places that change.
    fn feed(&self) -> Option<&dyn Feed> {
        None
    }

    /// Whether what is kept outlives the process, and the server's.
    fn durable(&self) -> bool;
}

/// A place in a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A record's, with its ending where that waits to be announced.
    Record(Key),
    /// What is known of a principal's sessions. Never due, never alive, found by its name only.
    Seats([u8; NAME]),
}

impl Place {
    /// A principal's place. Says nothing of the principal's name.
    pub fn of_principal(principal: &str) -> Self {
        let digest = Sha256::digest(principal.as_bytes());
        let mut name = [0; NAME];
        name.copy_from_slice(&digest[..NAME]);
        Self::Seats(name)
    }
}

impl fmt::Display for Place {
    /// A text of letters, digits, `-` and `_`, that reads back as the same place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(key) => fmt::Display::fmt(key, f),
            Self::Seats(name) => {
                f.write_str("seats-")?;
                name.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text names no place of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the name of a place: expected a key, or `seats-` and {} hexadecimal digits", 2 * NAME)]
pub struct NotAPlace;

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let Some(digits) = text.strip_prefix("seats-") else {
            return text.parse().map(Self::Record).map_err(|_| NotAPlace);
        };
        let digit = |byte: u8| (byte as char).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
        let mut name = [0; NAME];
        if digits.len() != 2 * NAME {
            return Err(NotAPlace);
        }
        for (byte, pair) in name.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                return Err(NotAPlace);
            };
            *byte = u8::try_from(high * 16 + low).map_err(|_| NotAPlace)?;
        }
        Ok(Self::Seats(name))
    }
}

/// What is in a place.
#[derive(Clone, PartialEq, Eq)]
pub struct Held {
    /// The bytes that were put there.
    pub bytes: Bytes,
    /// The backend's own name for them, where it has one. Never that of other bytes in this place.
    pub revision: Option<u64>,
}

impl Held {
    /// What stands before the bytes' content; `None` where they are nothing that this version has
    /// put there.
    pub fn label(&self) -> Option<Label> {
        Label::of(&self.bytes)
    }
}

impl Debug for Held {
    /// Prints the length, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({} bytes, {:?})", self.bytes.len(), self.revision)
    }
}

/// What somebody looks for who asks what is due.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Due {
    /// Records that are over: [`Label::over_from`] is not after now.
    Over,
    /// Endings whose lease has lapsed: [`Label::lapses_at`] is not after now.
    Lapsed,
}

/// What is to be put into a place.
#[derive(Clone, PartialEq, Eq)]
pub struct Put {
    /// The bytes. They begin with a [`Label`].
    pub bytes: Bytes,
    /// After what time the backend may forget them by itself, counted from now; `None`: never. Not
    /// how sessions expire, which a sweep sees to long before.
    pub forget_after: Option<Duration>,
}

impl Put {
    /// What stands before the bytes' content.
    pub fn label(&self) -> Label {
        Label::of(&self.bytes).unwrap_or_default()
    }
}

impl Debug for Put {
    /// Prints the length, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Put({} bytes, {:?})", self.bytes.len(), self.forget_after)
    }
}

/// What became of a swap.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a swap that was not done has changed nothing"]
pub enum Swapped {
    /// Done.
    Done,
    /// Something else is there, or nothing: this. Nothing was changed.
    Found(Option<Held>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_as_itself_and_nothing_else_does() {
        for place in [Place::Record(Key::random(Kind::Flow)), Place::of_principal("alice")] {
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        assert_ne!(Place::of_principal("alice"), Place::of_principal("bob"));
        let upper = Place::of_principal("alice").to_string().to_uppercase();
        for bad in ["", "seats-", "seats-00", "x", &upper, &format!("seats-{:032}", "é")] {
            assert_eq!(bad.parse::<Place>(), Err(NotAPlace), "{bad}");
        }
    }
}
