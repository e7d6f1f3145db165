//! A coherent cache in front of a store: what this node has seen is read from memory.

mod calls;
mod driver;
mod ear;
mod kept;
mod machine;
#[cfg(test)]
mod model;
mod shared;
mod shelf;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::ear::Ear;
use self::kept::Kept;
use self::machine::{Moment, Read, Terms};
use super::reading::{Loaded, Wanted};
use super::{Announce, Built, Capabilities, Created, Directory, Endings, Keep, Result, Store};
use crate::commit::{Commit, Guard, Outcome};
use crate::event::Ending;
use crate::record::Record;
use crate::time::{Timer, Timestamp};
use crate::token::Key;

/// How large a near cache is, and how long it trusts what it has. All nodes of an application should
/// have the same but for the size: a fence has to outlive the longest lease of any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NearOptions {
    /// About how many bytes of memory records may take. Default 64 MiB.
    pub bytes: u64,
    /// How often the store's feed is asked whether it is still there. Default 500 ms.
    pub heartbeat: Duration,
    /// How long it may take to answer before everything that it vouches for is dropped. Default
    /// 500 ms.
    pub patience: Duration,
    /// For how long after a heartbeat was sent that is answered records are served from memory.
    /// Has to be longer than `heartbeat`. Default 1 second.
    pub lease: Duration,
    /// For how long clients return the version that they saw. Has to be longer than `heartbeat`
    /// and `lease` together. Default 5 seconds.
    pub fence: Duration,
}

impl Default for NearOptions {
    fn default() -> Self {
        Self {
            bytes: 64 * 1024 * 1024,
            heartbeat: Duration::from_millis(500),
            patience: Duration::from_millis(500),
            lease: Duration::from_secs(1),
            fence: Duration::from_secs(5),
        }
    }
}

/// Why there can be no near cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoNear {
    /// The store has no feed.
    #[error("this store does not tell of changes: a cache in front of it would show old sessions")]
    NoFeed,
    /// The options contradict each other.
    #[error(
        "a near cache's heartbeat must not be zero, its lease longer than that, and its fence longer \
         than both together"
    )]
    Options,
}

/// A store with a cache in front of it.
///
/// A record that this node has seen is read from memory, without a call to the store. Others'
/// changes come over the store's [`Feed`](super::Feed); its own commits are applied to what it has.
/// Where the feed is down, or does not answer its heartbeat, every read goes to the store: an ended
/// session is read for no longer than `heartbeat` and `lease` together after its end, and normally for as
/// long as a message takes. A client that returns its [fence](crate::Session::fence) always reads
/// what it wrote.
///
/// The cache trusts nothing until [`Near::driver`] runs.
///
/// ```no_run
/// # async fn example(
/// #     store: cloakroom_core::MemoryStore, timer: impl cloakroom_core::Timer,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use cloakroom_core::store::{Near, NearOptions};
///
/// let near = Near::new(store, timer, NearOptions::default())?;
/// # fn spawn(_: impl Future<Output = ()> + Send + 'static) {}
/// spawn(near.driver());
/// # Ok(())
/// # }
/// ```
pub struct Near<S> {
    inner: Arc<Inner<S>>,
}

struct Inner<S> {
    store: S,
    options: NearOptions,
    kept: Arc<Kept>,
}

/// What a near cache has done and has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct NearStats {
    /// Reads from memory.
    pub hits: u64,
    /// Reads that waited for another one's call to the store.
    pub joined: u64,
    /// Reads that asked the store.
    pub misses: u64,
    /// Records that are kept.
    pub records: u64,
    /// About how many bytes they take.
    pub bytes: u64,
}

impl<S: Store> Near<S> {
    /// Puts a cache in front of `store`. It serves nothing before [`Near::driver`] runs.
    ///
    /// # Errors
    /// Where the store has no feed, and where the options contradict each other.
    pub fn new(store: S, timer: impl Timer, options: NearOptions) -> Result<Self, NoNear> {
        let NearOptions { bytes, heartbeat, lease, fence, .. } = options;
        let settle = heartbeat.saturating_add(lease);
        if heartbeat.is_zero() || heartbeat >= lease || settle >= fence {
            return Err(NoNear::Options);
        }
        let kept = Kept::new(bytes, Terms { lease, settle }, Arc::new(timer));
        let inner = Arc::new(Inner { store, options, kept: Arc::new(kept) });
        let ear = Ear(Arc::downgrade(&inner.kept));
        inner.store.feed().ok_or(NoNear::NoFeed)?.follow(Arc::new(ear));
        Ok(Self { inner })
    }

    /// Keeps the cache's trust in its feed: sends heartbeats until the cache is dropped. Without
    /// it every read goes to the store.
    pub fn driver(&self) -> impl Future<Output = ()> + Send + 'static {
        driver::drive(Arc::downgrade(&self.inner), Arc::clone(&self.inner.kept.wake))
    }

    /// What it has done so far, and has now.
    pub fn stats(&self) -> NearStats {
        self.inner.kept.stats()
    }
}

/// A poisoned lock means a panic of the machine itself, which has none.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl<S: Store> Store for Near<S> {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        let loaded = self.read(key, &Wanted::NEWEST, now).await?;
        Ok(loaded.map(|loaded| Arc::unwrap_or_clone(loaded.record)))
    }

    async fn read(&self, key: Key, wanted: &Wanted, now: Timestamp) -> Result<Option<Loaded>> {
        let inner = &self.inner;
        // What others wait for was sent before this call: it cannot be sure to be the newest.
        let mut may_join = *wanted != Wanted::NEWEST;
        loop {
            let source = inner.source(key);
            let at = Moment { now, elapsed: inner.kept.timer.elapsed() };
            let (load, joined) = {
                let mut shard = inner.kept.shard(&key);
                let join = match shard.machine.read(&key, wanted, source, at) {
                    Read::Hit(record, settled) => {
                        shard.stats.hits += 1;
                        return Ok(Some(Loaded { record, settled }));
                    }
                    Read::Join(load) if may_join => load.upgrade(),
                    Read::Join(_) | Read::Ask => None,
                };
                match join {
                    Some(load) => {
                        shard.stats.joined += 1;
                        (load, true)
                    }
                    None => (inner.load(&mut shard, key, at, source), false),
                }
            };
            let answer = load.await.map_err(|error| shared::again(&error))?;
            let met = |record: &Arc<Record>| wanted.is_met_by(record, now);
            if !joined || answer.as_ref().is_some_and(met) {
                return Ok(answer.map(|record| Loaded { record, settled: false }));
            }
            may_join = false;
        }
    }

    fn cached(&self, key: Key, wanted: &Wanted, now: Timestamp) -> Option<Loaded> {
        let inner = &self.inner;
        let source = inner.source(key);
        let at = Moment { now, elapsed: inner.kept.timer.elapsed() };
        let shard = &mut *inner.kept.shard(&key);
        let (record, settled) = shard.machine.kept(&key, wanted, source, at)?;
        shard.stats.hits += 1;
        Some(Loaded { record, settled })
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        let (call, _) = self.inner.write(key);
        let created = self.inner.store.create(key, record, seats, now).await;
        match &created {
            // The new one is not kept, as many a session is made and never read again; nor is one
            // that was over, and had this name.
            Ok(Created::Done { .. } | Created::Barred) => call.removed(),
            Ok(Created::Exists | Created::Refused(_)) => call.was_nothing(),
            Err(error) => call.failed(error),
        }
        created
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        self.inner.commit(key, commit, None, now).await
    }

    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.inner.commit(key, commit, Some(built), now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let (call, _) = self.inner.write(key);
        let ended = self.inner.store.end(key, guard, announce, now).await;
        match &ended {
            Ok(_) => call.removed(),
            Err(error) => call.failed(error),
        }
        ended
    }

    /// What a sweep removes is over, and is not served for that. One that is given up half-way
    /// leaves nothing in doubt.
    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        let endings = self.inner.store.expire(limit, keep, now).await?;
        for Ending { key, .. } in &endings {
            self.inner.kept.shard(key).machine.changed(key);
        }
        Ok(endings)
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        self.inner.store.clock().await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        self.inner.store.directory()
    }

    fn endings(&self) -> Option<&dyn Endings> {
        self.inner.store.endings()
    }

    fn fence(&self) -> Option<Duration> {
        Some(self.inner.options.fence)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.store.capabilities()
    }
}

impl<S: Store> fmt::Debug for Near<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Near").field(&self.inner.store).finish()
    }
}
