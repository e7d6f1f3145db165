//! Records that are found by name: attributes that all nodes of an application share.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Sessions;
use crate::commit::Guard;
use crate::error::Result;
use crate::event::Ended;
use crate::session::view::{Base, View};
use crate::session::{Client, Session};
use crate::slot::Slot;
use crate::token::{Key, Kind};

const APPLICATION: &str = "application";

/// A record that is found by name and opened by no token. Every call goes to the store, and every
/// write is committed before it returns.
#[derive(Clone, Debug)]
pub struct Entry {
    sessions: Sessions,
    key: Key,
    lifetime: Option<Duration>,
}

impl Entry {
    pub(super) fn application(sessions: Sessions) -> Self {
        Self::at(sessions, Key::named(Kind::Application, APPLICATION), None)
    }

    pub(super) const fn at(sessions: Sessions, key: Key, lifetime: Option<Duration>) -> Self {
        Self { sessions, key, lifetime }
    }

    /// Reads the record, once for all that is then read of it and written to it.
    pub async fn open(&self) -> Result<OpenEntry> {
        Ok(OpenEntry { session: self.read().await?, lifetime: self.lifetime })
    }

    async fn read(&self) -> Result<Session> {
        let key = self.key;
        let now = self.sessions.now();
        let record = self.sessions.newest(key, now).await?;
        let mut view = View::new(Base::named(key, record), Client::default(), now);
        view.named = Some(key);
        Ok(Session::new(self.sessions.clone(), view))
    }

    /// Reads an attribute; an error where it is not a `T`.
    pub async fn get<T: DeserializeOwned>(&self, slot: Slot<T>) -> Result<Option<T>> {
        self.open().await?.get(slot)
    }

    /// Writes an attribute: the last writer wins.
    pub async fn set<T: Serialize + Sync>(&self, slot: Slot<T>, value: &T) -> Result<()> {
        let open = self.open().await?;
        let session = open.renewed()?;
        session.set(slot, value)?;
        session.commit().await?.done().map(drop)
    }

    /// Removes an attribute.
    pub async fn remove<T>(&self, slot: Slot<T>) -> Result<()> {
        let session = self.read().await?;
        session.remove(slot)?;
        session.commit().await?.done().map(drop)
    }

    /// Changes an attribute from what it is, or from the default. Returns what the run of `change`
    /// returned that was applied; it may run several times and must do nothing else.
    pub async fn update<T, R>(
        &self,
        slot: Slot<T>,
        change: impl Fn(&mut T) -> R + Send + Sync,
    ) -> Result<R>
    where
        T: Default + Serialize + DeserializeOwned,
        R: Send,
    {
        self.open().await?.update(slot, change).await
    }

    /// Removes the whole record; `false` where there is none.
    pub async fn end(&self) -> Result<bool> {
        let (_, was_there) = self.sessions.remove(self.key, &Guard::None, Ended::Revoked).await?;
        Ok(was_there)
    }
}

/// An [`Entry`] as it was read. What is written builds on that, and on what others have written
/// meanwhile where there is any.
#[derive(Clone, Debug)]
pub struct OpenEntry {
    session: Session,
    lifetime: Option<Duration>,
}

impl OpenEntry {
    /// An attribute as it was read; an error where it is not a `T`. Asks nothing.
    pub fn get<T: DeserializeOwned>(&self, slot: Slot<T>) -> Result<Option<T>> {
        self.session.try_get(slot)
    }

    /// Changes an attribute as [`Entry::update`] does, without reading it before.
    pub async fn update<T, R>(
        &self,
        slot: Slot<T>,
        change: impl Fn(&mut T) -> R + Send + Sync,
    ) -> Result<R>
    where
        T: Default + Serialize + DeserializeOwned,
        R: Send,
    {
        self.renewed()?.transact(slot, change).await
    }

    /// The record, to be written to, which begins its lifetime anew.
    fn renewed(&self) -> Result<&Session> {
        if self.lifetime.is_some() {
            self.session.set_lifetime(self.lifetime)?;
        }
        Ok(&self.session)
    }
}
