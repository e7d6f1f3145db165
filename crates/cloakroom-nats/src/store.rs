//! The store: what [`Cas`] makes of a bucket.

use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Cas, Created, Directory, Endings, Feed, Keep, Loaded, Result,
    Store, Wanted,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Outcome, Record, Timestamp};

use crate::register::NatsRegister;

/// Keeps sessions in a JetStream bucket, and tells a near cache of every change together with what
/// the session has come to.
#[derive(Debug)]
pub struct NatsStore {
    inner: Cas<NatsRegister>,
}

impl NatsStore {
    pub(crate) const fn new(register: NatsRegister) -> Self {
        Self { inner: Cas::new(register) }
    }

    /// The bucket, as a register.
    pub const fn register(&self) -> &NatsRegister {
        self.inner.register()
    }
}

#[async_trait]
impl Store for NatsStore {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        self.inner.load(key, now).await
    }

    async fn read(&self, key: Key, wanted: &Wanted, now: Timestamp) -> Result<Option<Loaded>> {
        self.inner.read(key, wanted, now).await
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        self.inner.create(key, record, seats, now).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        self.inner.commit(key, commit, now).await
    }

    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.inner.commit_built(key, commit, built, now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        self.inner.end(key, guard, announce, now).await
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        self.inner.expire(limit, keep, now).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        self.inner.clock().await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        self.inner.directory()
    }

    fn endings(&self) -> Option<&dyn Endings> {
        self.inner.endings()
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.inner.feed()
    }

    fn fence(&self) -> Option<Duration> {
        self.inner.fence()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
