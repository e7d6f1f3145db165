//! A store that several nodes share, each through a handle of its own, whose feed tells of what
//! the other handles change: over a wire that the test controls.
//!
//! The feed keeps the contract of [`Feed`] to the letter and promises nothing beyond it. It never
//! tells of a handle's own changes. As a server that tracks reads does, it tells of a record's next
//! change only to handles that have asked for the record since it last told them of it; a feed of
//! versions tells of everything.

mod wire;

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Created, Directory, Endings, Feed, FeedSource as Source, Keep,
    Notice, Notices, Result,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Outcome, Record, Store, Timestamp};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use self::wire::Sent;
pub use self::wire::{Breach, Lag, Merge, Pace, Wire};
use super::lost;

/// How the handles of one store hear of changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// How many sources each handle has; keys share them, and [`Fed::move_keys`] moves them.
    pub sources: usize,
    /// Whether a commit is told with the version that it has made.
    pub versions: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self { sources: 1, versions: false }
    }
}

/// A node's handle to a store that others share. Clones are the same handle.
#[derive(Clone)]
pub struct Fed {
    hub: Arc<Hub>,
    wires: Arc<[Arc<Wire>]>,
}

/// The store, and all wires that lead from it.
struct Hub {
    store: Arc<dyn Store>,
    shape: Shape,
    /// Held for one step of the store and its telling, so that they are one.
    gate: tokio::sync::Mutex<()>,
    wires: Mutex<Vec<Arc<Wire>>>,
    /// By how much keys have moved from source to source.
    shift: AtomicUsize,
}

/// How it is told that a call has changed something.
type Change = Option<Notice>;
/// What the store does, with what it changes by that.
type Work<T> = BoxFuture<'static, Result<(T, Change)>>;

impl Fed {
    /// So many handles to `store`, which has to act at once when it is asked.
    pub fn handles(store: impl Store, count: usize) -> Vec<Self> {
        Self::shaped(Arc::new(store), count, Shape::default())
    }

    /// So many handles to `store`, with feeds of this shape.
    pub fn shaped(store: Arc<dyn Store>, count: usize, shape: Shape) -> Vec<Self> {
        assert!(shape.sources > 0, "a feed has a source");
        let hub = Arc::new(Hub {
            store,
            shape,
            gate: tokio::sync::Mutex::default(),
            wires: Mutex::default(),
            shift: AtomicUsize::new(0),
        });
        (0..count).map(|_| Self::of(&hub)).collect()
    }

    fn of(hub: &Arc<Hub>) -> Self {
        let wires: Arc<[_]> = (0..hub.shape.sources).map(|_| Arc::new(Wire::default())).collect();
        hub.wires.lock().unwrap_or_else(PoisonError::into_inner).extend(wires.iter().cloned());
        Self { hub: Arc::clone(hub), wires }
    }

    /// What its first source's notices come by.
    pub fn wire(&self) -> &Arc<Wire> {
        &self.wires[0]
    }

    /// What its notices come by, a wire for each source.
    pub fn wires(&self) -> &[Arc<Wire>] {
        &self.wires
    }

    /// Moves every key to the next source, for all handles, as when the slots of a cluster move.
    pub async fn move_keys(&self) {
        let _gate = self.hub.gate.lock().await;
        self.hub.shift.fetch_add(1, Ordering::SeqCst);
        self.hub.each_wire(Wire::tell_of_all);
    }

    fn wire_of(&self, key: Key) -> &Arc<Wire> {
        let shift = self.hub.shift.load(Ordering::SeqCst);
        &self.wires[(usize::from(key.as_bytes()[2]) + shift) % self.wires.len()]
    }

    /// Has the store do something: at once, or where the wire lags in a task of its own, which a
    /// caller who gives up leaves behind.
    async fn carry<T: Send + 'static>(&self, key: Key, work: Work<T>) -> Result<T> {
        let wire = Arc::clone(self.wire_of(key));
        let sent = Sent::on(&wire);
        let Some((up, down)) = wire.lag() else {
            return self.execute(key, sent, work).await;
        };
        let (this, (tell, told)) = (self.clone(), oneshot::channel());
        let by = sent.source;
        tokio::spawn(async move {
            pause(up).await;
            let answer = this.execute(key, sent, work).await;
            pause(down).await;
            let _ = tell.send(answer);
        });
        tokio::select! {
            biased;
            answer = told => answer.unwrap_or_else(|_| Err(lost())),
            () = wire.is_cut_from(by) => Err(lost()),
        }
    }

    async fn execute<T>(&self, key: Key, sent: Sent, work: Work<T>) -> Result<T> {
        let _gate = self.hub.gate.lock().await;
        let here = self.wire_of(key);
        // A call whose connection has died, or whose key has moved, is told like anybody's.
        let as_named = sent.is_by(here);
        let (answer, change) = work.await?;
        self.hub.each_wire(|wire| {
            if !(as_named && Arc::ptr_eq(wire, here)) {
                change.iter().for_each(|notice| self.hub.tell(wire, key, notice.clone()));
            }
        });
        here.track(key);
        if !as_named {
            sent.wire.hear_aside(Notice::Changed(key));
        }
        Ok(answer)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.hub.store)
    }
}

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

impl Hub {
    fn tell(&self, wire: &Arc<Wire>, key: Key, notice: Notice) {
        match self.shape.versions {
            true => wire.tell(notice),
            false => wire.tell_if_tracked(key, notice),
        }
    }

    fn each_wire(&self, tell: impl Fn(&Arc<Wire>)) {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(tell);
    }
}

/// How it is told what a commit came to.
fn told(key: Key, commit: &Commit, outcome: &Outcome, versions: bool) -> Change {
    match outcome {
        // A use leaves the version alone.
        Outcome::Done { version } if versions && !commit.touch => {
            Some(Notice::Reached(key, *version))
        }
        Outcome::Done { .. } | Outcome::Barred => Some(Notice::Changed(key)),
        Outcome::Conflict(_) | Outcome::Gone | Outcome::Refused(_) => None,
    }
}

/// Boxes what a store does.
fn work<T>(work: impl Future<Output = Result<(T, Change)>> + Send + 'static) -> Work<T> {
    Box::pin(work)
}

#[async_trait]
impl Store for Fed {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        let store = self.store();
        let load = work(async move { Ok((store.load(key, now).await?, None)) });
        self.carry(key, load).await
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        let (store, record) = (self.store(), record.clone());
        let create = work(async move {
            let created = store.create(key, &record, seats, now).await?;
            let changes = matches!(created, Created::Done { .. } | Created::Barred);
            Ok((created, changes.then_some(Notice::Changed(key))))
        });
        self.carry(key, create).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let (store, commit, versions) = (self.store(), commit.clone(), self.hub.shape.versions);
        let apply = work(async move {
            let outcome = store.commit(key, &commit, now).await?;
            let change = told(key, &commit, &outcome, versions);
            Ok((outcome, change))
        });
        self.carry(key, apply).await
    }

    /// Holds what the sender has made of the record to what the store makes of it, where both have
    /// built on the same.
    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        let (store, commit, versions) = (self.store(), commit.clone(), self.hub.shape.versions);
        let (base, after) = (built.base.mark, Arc::clone(built.after));
        let apply = work(async move {
            let before = store.load(key, now).await?;
            let outcome = store.commit(key, &commit, now).await?;
            let same = before.is_some_and(|before| before.mark == base);
            if same && matches!(outcome, Outcome::Done { .. }) && !after.is_over(now) {
                assert_eq!(
                    store.load(key, now).await?.as_ref(),
                    Some(&*after),
                    "one mark, one record"
                );
            }
            let change = told(key, &commit, &outcome, versions);
            Ok((outcome, change))
        });
        self.carry(key, apply).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let (store, guard) = (self.store(), guard.clone());
        let end = work(async move {
            let ended = store.end(key, &guard, announce, now).await?;
            let change = ended.as_ref().map(|_| Notice::Changed(key));
            Ok((ended, change))
        });
        self.carry(key, end).await
    }

    /// A sweep is told to everybody else, whatever becomes of its caller.
    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        let _gate = self.hub.gate.lock().await;
        let endings = self.hub.store.expire(limit, keep, now).await?;
        self.hub.each_wire(|wire| {
            if !self.wires.iter().any(|own| Arc::ptr_eq(own, wire)) {
                for Ending { key, .. } in &endings {
                    self.hub.tell(wire, *key, Notice::Changed(*key));
                }
            }
        });
        Ok(endings)
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        self.hub.store.clock().await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        self.hub.store.directory()
    }

    fn endings(&self) -> Option<&dyn Endings> {
        self.hub.store.endings()
    }

    fn feed(&self) -> Option<&dyn Feed> {
        Some(self)
    }

    fn capabilities(&self) -> Capabilities {
        self.hub.store.capabilities()
    }
}

#[async_trait]
impl Feed for Fed {
    fn follow(&self, notices: Arc<dyn Notices>) {
        for wire in &*self.wires {
            wire.follow(&notices);
        }
    }

    fn source(&self, key: Key) -> Option<Source> {
        self.wire_of(key).source()
    }

    async fn beat(&self, source: Source) -> Result<()> {
        match self.wires.iter().find(|wire| wire.source() == Some(source)) {
            Some(wire) => wire.beat(source).await,
            None => Err(super::unreached()),
        }
    }

    fn reset(&self, source: Source) {
        for wire in &*self.wires {
            wire.reset(source);
        }
    }
}

impl fmt::Debug for Fed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fed").field(&self.hub.store).finish()
    }
}
