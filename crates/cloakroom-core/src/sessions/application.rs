//! Attributes that all sessions of an application share, on all nodes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Sessions;
use crate::error::Result;
use crate::session::view::{Base, View};
use crate::session::{Client, Session};
use crate::slot::Slot;
use crate::token::{Key, Kind};

const NAME: &str = "application";

/// The application's own attributes: one record that never ends and that no token opens. Every
/// call goes to the store, and every write is committed before it returns.
#[derive(Clone, Debug)]
pub struct Application {
    sessions: Sessions,
    key: Key,
}

impl Application {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self { sessions, key: Key::named(Kind::Application, NAME) }
    }

    /// Attributes of another such record.
    #[cfg(feature = "sealed")]
    pub(super) fn at(sessions: Sessions, key: Key) -> Self {
        Self { sessions, key }
    }

    async fn open(&self) -> Result<Session> {
        let key = self.key;
        let now = self.sessions.now();
        let record = self.sessions.newest(key, now).await?;
        let mut view = View::new(Base::named(key, record), Client::default(), now);
        view.named = Some(key);
        Ok(Session::new(self.sessions.clone(), view))
    }

    /// Reads an attribute; an error where it is not a `T`.
    pub async fn get<T: DeserializeOwned>(&self, slot: Slot<T>) -> Result<Option<T>> {
        self.open().await?.try_get(slot)
    }

    /// Writes an attribute: the last writer wins.
    pub async fn set<T: Serialize + Sync>(&self, slot: Slot<T>, value: &T) -> Result<()> {
        let session = self.open().await?;
        session.set(slot, value)?;
        session.commit().await?.done().map(drop)
    }

    /// Removes an attribute.
    pub async fn remove<T>(&self, slot: Slot<T>) -> Result<()> {
        let session = self.open().await?;
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
        self.open().await?.transact(slot, change).await
    }
}
