//! A store whose every call goes another way to the same records.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Created, Directory, Endings, Keep, Loaded, Result, Wanted,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Outcome, Record, Store, Timestamp};

/// Asks several stores in turn, as a load balancer does that knows no session: what one node
/// writes, another one reads.
#[derive(Debug)]
pub struct InTurn {
    nodes: Vec<Arc<dyn Store>>,
    next: AtomicUsize,
}

impl InTurn {
    /// Asks these in turn.
    pub fn new(nodes: Vec<Arc<dyn Store>>) -> Self {
        assert!(!nodes.is_empty(), "somebody has to be asked");
        Self { nodes, next: AtomicUsize::new(0) }
    }

    fn next(&self) -> &Arc<dyn Store> {
        &self.nodes[self.next.fetch_add(1, Ordering::Relaxed) % self.nodes.len()]
    }
}

#[async_trait]
impl Store for InTurn {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        self.next().load(key, now).await
    }

    async fn read(&self, key: Key, wanted: &Wanted, now: Timestamp) -> Result<Option<Loaded>> {
        self.next().read(key, wanted, now).await
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        self.next().create(key, record, seats, now).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        self.next().commit(key, commit, now).await
    }

    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.next().commit_built(key, commit, built, now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        self.next().end(key, guard, announce, now).await
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        self.next().expire(limit, keep, now).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        self.next().clock().await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        self.nodes[0].directory()
    }

    fn endings(&self) -> Option<&dyn Endings> {
        self.nodes[0].endings()
    }

    fn fence(&self) -> Option<Duration> {
        self.nodes[0].fence()
    }

    fn capabilities(&self) -> Capabilities {
        self.nodes[0].capabilities()
    }
}
