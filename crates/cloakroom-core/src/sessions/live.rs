//! Sessions seen from outside a request.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::Sessions;
use crate::error::Result;
use crate::record::Record;
use crate::session::view::Stored;
use crate::session::{ADDRESS, DEVICE};
use crate::slot::{self, Slot};
use crate::store::Wanted;
use crate::time::Timestamp;
use crate::token::Key;

/// A session as it was when it was read: for lists, and for sockets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    key: Key,
    record: Arc<Record>,
}

impl Info {
    pub(super) fn new(key: Key, record: Arc<Record>) -> Self {
        Self { key, record }
    }

    /// Which session.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Who is signed in.
    pub fn principal(&self) -> Option<&str> {
        self.record.principal.as_deref()
    }

    /// When they signed in.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.record.authenticated_at
    }

    /// When the session was stored first.
    pub fn created_at(&self) -> Timestamp {
        self.record.created_at
    }

    /// When it was last used, to within the policy's `touch_after`.
    pub fn last_accessed(&self) -> Timestamp {
        self.record.touched_at
    }

    /// When it ends if it is not used again.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.record.deadline()
    }

    /// The device that signed in, as its User-Agent header said.
    pub fn device(&self) -> Option<String> {
        self.reserved(DEVICE)
    }

    /// The address that signed in.
    pub fn address(&self) -> Option<String> {
        self.reserved(ADDRESS)
    }

    fn reserved(&self, name: &str) -> Option<String> {
        slot::decode(name, &self.record.fields.get(name)?.bytes).ok()
    }

    /// Reads an attribute; an error where it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, slot: Slot<T>) -> Result<Option<T>> {
        let field = self.record.fields.get(slot.name());
        field.map(|field| slot::decode(slot.name(), &field.bytes)).transpose()
    }
}

/// A session that outlives its request: a socket or a stream asks whether it is still there.
///
/// It is tied to the login that it was made under. A key survives a login; whoever opened a socket
/// before must not see what comes after.
#[derive(Clone, Debug)]
pub struct Live {
    sessions: Sessions,
    key: Key,
    principal: Option<String>,
    authenticated_at: Option<Timestamp>,
    /// The version that its maker has seen.
    version: u64,
}

impl Live {
    pub(crate) fn new(sessions: Sessions, stored: &Stored) -> Self {
        let Record { principal, authenticated_at, version, .. } = &*stored.record;
        Self {
            sessions,
            key: stored.key,
            principal: principal.clone(),
            authenticated_at: *authenticated_at,
            version: *version,
        }
    }

    /// Reads the session as it is now; `None` once it has ended, or somebody has signed in or out.
    /// Counts as no use of it. From a cache it may be behind, by no more than a second or two.
    pub async fn check(&self) -> Result<Option<Info>> {
        let wanted = Wanted { at_least: self.version, opened_by: None };
        let info = self.sessions.look_for(self.key, &wanted).await?;
        Ok(info.filter(|info| {
            info.record.principal == self.principal
                && info.record.authenticated_at == self.authenticated_at
        }))
    }
}
