//! The store: a register, and what core makes of one.

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Cas, Created, Directory, Endings, Feed, Keep, Result,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Outcome, Record, Store, Timestamp};

use crate::register::MongoRegister;

/// Keeps sessions in MongoDB.
#[derive(Debug)]
pub struct MongoStore(Cas<MongoRegister>);

impl MongoStore {
    pub(crate) const fn new(cas: Cas<MongoRegister>) -> Self {
        Self(cas)
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        self.0.load(key, now).await
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        self.0.create(key, record, seats, now).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        self.0.commit(key, commit, now).await
    }

    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.0.commit_built(key, commit, built, now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        self.0.end(key, guard, announce, now).await
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        self.0.expire(limit, keep, now).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        self.0.clock().await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        self.0.directory()
    }

    fn endings(&self) -> Option<&dyn Endings> {
        self.0.endings()
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.0.feed()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}
