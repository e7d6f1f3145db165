//! A store whose every commit says what it makes of the record, as whoever has read the record does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Created, Directory, Endings, Keep, Result,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Outcome, Record, Store, Timestamp};

/// Builds every commit on the record as it was last read here, which may be old: what is stored
/// and answered has to be the same as without.
#[derive(Debug)]
pub struct Building<S> {
    inner: S,
    read: Mutex<HashMap<Key, Arc<Record>>>,
}

impl<S: Store> Building<S> {
    /// Builds on what is read from `inner`.
    pub fn new(inner: S) -> Self {
        Self { inner, read: Mutex::default() }
    }

    fn known(&self, key: Key) -> Option<Arc<Record>> {
        self.read.lock().unwrap().get(&key).cloned()
    }

    fn note(&self, key: Key, record: &Arc<Record>) {
        self.read.lock().unwrap().insert(key, Arc::clone(record));
    }
}

#[async_trait]
impl<S: Store> Store for Building<S> {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        let loaded = self.inner.load(key, now).await?;
        if let Some(record) = &loaded {
            self.note(key, &Arc::new(record.clone()));
        }
        Ok(loaded)
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        let created = self.inner.create(key, record, seats, now).await?;
        if let Created::Done { .. } = &created {
            self.note(key, &Arc::new(record.clone()));
        }
        Ok(created)
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let base = self.known(key);
        let after = base.as_ref().and_then(|base| base.apply(commit, now).1).map(Arc::new);
        let outcome = match (&base, &after) {
            (Some(base), Some(after)) => {
                self.inner.commit_built(key, commit, Built { base, after }, now).await?
            }
            _ => self.inner.commit(key, commit, now).await?,
        };
        match (&outcome, &after) {
            (Outcome::Conflict(record), _) => self.note(key, record),
            // Every other commit is built on what is old by then.
            (Outcome::Done { version }, Some(after)) if version % 2 == 0 => self.note(key, after),
            _ => {}
        }
        Ok(outcome)
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

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
