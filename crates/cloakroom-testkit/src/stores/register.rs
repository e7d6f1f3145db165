//! A register in memory, whose every call may let others go first, and may fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cloakroom_core::store::{Due, Error, Held, Place, Put, Register, Result, Swapped};
use cloakroom_core::{Key, Kind, Timestamp};

use super::{lost, unreached};

/// How a register tells one content of a place from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tells {
    /// By a revision of its own.
    Revisions,
    /// By the bytes themselves.
    Bytes,
}

/// Where a register fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The call does not reach it.
    Before,
    /// It acts, and its answer is lost.
    After,
}

/// A register in memory. Clones are the same.
#[derive(Clone, Debug)]
pub struct MemoryRegister {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tells: Tells,
    places: Mutex<BTreeMap<Place, (u64, Held)>>,
    revisions: AtomicU64,
    calls: AtomicU64,
    /// The call that fails, and how.
    fails: Mutex<Option<(u64, Lost)>>,
}

impl MemoryRegister {
    /// An empty register.
    pub fn new(tells: Tells) -> Self {
        let inner = Inner {
            tells,
            places: Mutex::default(),
            revisions: AtomicU64::new(1),
            calls: AtomicU64::new(0),
            fails: Mutex::new(None),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Has the `n`-th call from now fail, from 0 on.
    pub fn fail(&self, n: u64, lost: Lost) {
        let at = self.inner.calls.load(Ordering::SeqCst) + n;
        *self.inner.fails.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, lost));
    }

    /// Whether the call that was to fail has come. From then on none fails.
    pub fn has_failed(&self) -> bool {
        let fails = *self.inner.fails.lock().unwrap_or_else(PoisonError::into_inner);
        fails.is_none_or(|(at, _)| at < self.inner.calls.load(Ordering::SeqCst))
    }

    /// How many places have something in them.
    pub fn filled(&self) -> usize {
        self.places().len()
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.inner.calls.load(Ordering::SeqCst)
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<Place, (u64, Held)>> {
        self.inner.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets others go first, and says whether this call's answer is lost.
    async fn enter(&self) -> Result<bool> {
        let n = self.inner.calls.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let fails = *self.inner.fails.lock().unwrap_or_else(PoisonError::into_inner);
        match fails {
            Some((at, Lost::Before)) if at == n => Err(unreached()),
            fails => Ok(fails == Some((n, Lost::After))),
        }
    }

    fn answer<T>(is_lost: bool, answer: T) -> Result<T> {
        if is_lost { Err(lost()) } else { Ok(answer) }
    }

    fn swap_now(&self, place: Place, from: Option<&Held>, to: Option<&Put>) -> Swapped {
        let mut places = self.places();
        let found = places.get(&place).map(|(_, held)| held.clone());
        let same = match (from, &found) {
            (None, None) => true,
            (Some(Held { revision: Some(revision), .. }), Some(found)) => {
                found.revision == Some(*revision)
            }
            (Some(from), Some(found)) => from.bytes == found.bytes,
            _ => false,
        };
        if !same {
            return Swapped::Found(found);
        }
        let number = self.inner.revisions.fetch_add(1, Ordering::SeqCst);
        let revision = (self.inner.tells == Tells::Revisions).then_some(number);
        match to {
            Some(put) => {
                places.insert(place, (number, Held { bytes: put.bytes.clone(), revision }));
            }
            None => {
                places.remove(&place);
            }
        }
        Swapped::Done
    }

    fn matching(&self, wanted: impl Fn(&Held) -> bool) -> Vec<(Key, Held)> {
        let places = self.places();
        let records = places.iter().filter_map(|(place, (_, held))| match place {
            Place::Record(key) if wanted(held) => Some((*key, held.clone())),
            _ => None,
        });
        records.collect()
    }

    fn living(&self, kind: Kind, now: Timestamp) -> Vec<Key> {
        let lives = |held: &Held| held.label().is_some_and(|label| label.alive_until > now);
        let found = self.matching(lives).into_iter().map(|(key, _)| key);
        found.filter(|key| key.kind() == kind).collect()
    }
}

#[async_trait]
impl Register for MemoryRegister {
    async fn get(&self, place: Place) -> Result<Option<Held>> {
        let is_lost = self.enter().await?;
        let held = self.places().get(&place).map(|(_, held)| held.clone());
        Self::answer(is_lost, held).map_err(|_| unreached())
    }

    async fn swap(&self, place: Place, from: Option<&Held>, to: Option<&Put>) -> Result<Swapped> {
        let is_lost = self.enter().await?;
        let swapped = self.swap_now(place, from, to);
        tokio::task::yield_now().await;
        Self::answer(is_lost, swapped)
    }

    async fn due(&self, what: Due, limit: usize, now: Timestamp) -> Result<Vec<(Key, Held)>> {
        self.enter().await?;
        let due = |held: &Held| held.label().is_some_and(|label| label.is_due(what, now));
        let mut due = self.matching(due);
        due.truncate(limit);
        Ok(due)
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        self.enter().await?;
        let mut keys = self.living(kind, now);
        keys.retain(|key| Some(*key) > after);
        keys.truncate(limit);
        Ok(keys)
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64, Error> {
        self.enter().await?;
        Ok(self.living(kind, now).len() as u64)
    }

    fn durable(&self) -> bool {
        false
    }
}
