//! Where sessions are kept: in a store, or sealed by their clients.

#[cfg(feature = "sealed")]
mod content;
#[cfg(feature = "sealed")]
mod epochs;
#[cfg(feature = "sealed")]
mod keyring;
#[cfg(feature = "sealed")]
mod nowhere;
#[cfg(feature = "sealed")]
mod seal;
#[cfg(feature = "sealed")]
mod sealed;
#[cfg(feature = "sealed")]
mod slip;

use std::fmt;
#[cfg(feature = "sealed")]
use std::sync::Arc;

#[cfg(feature = "sealed")]
pub(crate) use content::Content;
#[cfg(feature = "sealed")]
pub(crate) use epochs::{Epoch, Epochs};
#[cfg(feature = "sealed")]
pub use keyring::{BadKeys, KeyRing};
#[cfg(feature = "sealed")]
pub(crate) use nowhere::Nowhere;
#[cfg(feature = "sealed")]
pub use sealed::Sealed;
#[cfg(feature = "sealed")]
pub(crate) use slip::Slip;

use crate::error::{Error, Result};
use crate::policy::{BadPolicy, Policy};
use crate::session::Reply;
use crate::session::view::View;
use crate::sessions::Sessions;
use crate::time::Timestamp;
use crate::token::Key;

/// A sealed session, as its client keeps it. Whoever has it has the session.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedText(String);

impl SealedText {
    /// The text to hand to the client, and to nobody else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SealedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedText({} bytes)", self.0.len())
    }
}

/// What carries a sealed session between a client and a service, and how much of it. A session
/// sealed for one carrier opens in no other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Carrier {
    name: std::sync::Arc<str>,
    most: usize,
}

impl Carrier {
    /// A carrier, such as `cookie id`, of at most `most` characters.
    pub fn new(name: impl Into<std::sync::Arc<str>>, most: usize) -> Self {
        Self { name: name.into(), most }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many characters it carries.
    pub const fn most(&self) -> usize {
        self.most
    }
}

/// Where the sessions of one [`Sessions`] are kept.
#[derive(Clone, Default)]
pub(crate) enum Keeping {
    /// In its store.
    #[default]
    Stored,
    /// By their clients.
    #[cfg(feature = "sealed")]
    Sealed(Arc<Sealed>),
    /// By its client, and while the request is under way in this store of one.
    #[cfg(feature = "sealed")]
    Slip(Arc<Slip>),
}

impl Keeping {
    /// Whether clients keep the sessions, so that none is found by its key.
    pub(crate) fn is_sealed(&self) -> bool {
        match self {
            Self::Stored => false,
            #[cfg(feature = "sealed")]
            Self::Sealed(_) => true,
            #[cfg(feature = "sealed")]
            Self::Slip(_) => false,
        }
    }

    /// Refuses what only a store of sessions can do.
    pub(crate) fn needs_store(&self) -> Result<()> {
        if self.is_sealed() { Err(Error::HeldByClient) } else { Ok(()) }
    }

    /// What the client has to be told where the session's own reply is `reply`.
    pub(crate) fn reply(
        &self,
        reply: Option<Reply>,
        _now: impl FnOnce() -> Timestamp,
    ) -> Option<Reply> {
        match self {
            #[cfg(feature = "sealed")]
            Self::Slip(slip) => slip.reply(reply, _now()),
            _ => reply,
        }
    }

    /// The key of a session that was `key` before its last commit.
    pub(crate) fn key_after(&self, key: Key) -> Key {
        match self {
            #[cfg(feature = "sealed")]
            Self::Slip(slip) => slip.key().unwrap_or(key),
            _ => key,
        }
    }

    /// Whether every edit is checked against what a client can keep.
    pub(crate) fn has_little_room(&self) -> bool {
        match self {
            #[cfg(feature = "sealed")]
            Self::Slip(_) => true,
            _ => false,
        }
    }

    /// Refuses edits that would make the session larger than its client can keep.
    pub(crate) fn check(&self, _view: &View, _policy: &Policy, _now: Timestamp) -> Result<()> {
        match self {
            #[cfg(feature = "sealed")]
            Self::Slip(slip) => match _view.outcome(_policy, _now)? {
                Some(record) => Ok(slip.check(&record)?),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Refuses what a policy asks of sessions that only a store can do.
    pub(crate) fn check_policy(&self, policy: &Policy) -> std::result::Result<(), BadPolicy> {
        if !self.is_sealed() {
            return Ok(());
        }
        if policy.seats.is_some() {
            let must = "must be None for sealed sessions: nobody counts them";
            return Err(BadPolicy { name: "seats", must });
        }
        if policy.rotate_every.is_some() {
            let must = "must be None for sealed sessions: they have no token to rotate";
            return Err(BadPolicy { name: "rotate_every", must });
        }
        Ok(())
    }

    /// Ends all sessions of a principal but one. `None` where they are in the store.
    pub(crate) async fn end_all(
        &self,
        _sessions: &Sessions,
        _principal: &str,
        _except: Option<Key>,
    ) -> Option<Result<usize>> {
        match self {
            #[cfg(feature = "sealed")]
            Self::Sealed(sealed) => Some(match sealed.store() {
                // How many there are, nobody knows.
                Some(_) => _sessions.begin_epoch(_principal, _except).await.map(|()| 0),
                None => Err(Error::NoEpochs),
            }),
            _ => None,
        }
    }
}
