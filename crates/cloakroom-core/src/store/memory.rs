//! Records in this process's memory: for one node, for tests, and as the plainest reading of the
//! laws.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Announce, Capabilities, Created, Directory, Endings, Keep, Result, Store};
use crate::commit::{Commit, Guard, Limit, Outcome};
use crate::event::Ending;
use crate::record::Record;
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// A store in memory. Everything in it is lost with the process.
///
/// One lock guards it all and is never held across an await. Indexes are kept beside the records,
/// so that a sweep touches only what is over.
#[derive(Default)]
pub struct MemoryStore {
    shelves: Mutex<Shelves>,
}

#[derive(Default)]
struct Shelves {
    records: BTreeMap<Key, Record>,
    /// Every record's deadline, for those that have one.
    deadlines: BTreeSet<(Timestamp, Key)>,
    /// Every principal's sessions.
    principals: BTreeSet<(String, Key)>,
    endings: BTreeMap<Key, (Timestamp, Ending)>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A poisoned lock means that another thread panicked between two whole steps; the shelves
    /// are as the last step left them.
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} records)", self.shelves().records.len())
    }
}

impl Shelves {
    fn living(&self, key: Key, now: Timestamp) -> Option<&Record> {
        self.records.get(&key).filter(|record| !record.is_over(now))
    }

    fn put(&mut self, key: Key, record: Record) -> Option<Record> {
        let before = self.take(key);
        if let Some(deadline) = record.deadline() {
            self.deadlines.insert((deadline, key));
        }
        if let (Kind::Session, Some(principal)) = (key.kind(), &record.principal) {
            self.principals.insert((principal.clone(), key));
        }
        self.records.insert(key, record);
        before
    }

    fn take(&mut self, key: Key) -> Option<Record> {
        let record = self.records.remove(&key)?;
        if let Some(deadline) = record.deadline() {
            self.deadlines.remove(&(deadline, key));
        }
        if let Some(principal) = &record.principal {
            self.principals.remove(&(principal.clone(), key));
        }
        Some(record)
    }

    /// The principal's living sessions, the oldest login first.
    fn seated(&self, principal: &str, now: Timestamp) -> Vec<(Key, &Record)> {
        let first = (principal.to_owned(), Key::lowest(Kind::Session));
        let mut seated: Vec<_> = self
            .principals
            .range(first..)
            .take_while(|(who, _)| who == principal)
            .filter_map(|(_, key)| Some((*key, self.living(*key, now)?)))
            .collect();
        seated.sort_by_key(|(key, record)| (record.authenticated_at, *key));
        seated
    }

    /// The limit that stands against `principal` taking a seat under `key`.
    fn full(&self, principal: &str, key: Key, seats: usize, now: Timestamp) -> Option<Limit> {
        if key.kind() != Kind::Session {
            return None;
        }
        let mut taken: Vec<_> = self.seated(principal, now).iter().map(|(key, _)| *key).collect();
        taken.retain(|other| *other != key);
        (taken.len() >= seats).then_some(Limit::Seats { taken })
    }

    fn keep(&mut self, keep: Keep, ending: &Ending) {
        if let (Keep::LeasedUntil(until), Kind::Session) = (keep, ending.key.kind()) {
            self.endings.insert(ending.key, (until, ending.clone()));
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        Ok(self.shelves().living(key, now).cloned())
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        let mut shelves = self.shelves();
        if shelves.living(key, now).is_some() {
            return Ok(Created::Exists);
        }
        if let (Some(principal), Some(seats)) = (&record.principal, seats)
            && let Some(limit) = shelves.full(principal, key, seats, now)
        {
            return Ok(Created::Refused(limit));
        }
        let replaced = shelves.put(key, record.clone()).map(Box::new);
        Ok(Created::Done { replaced })
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let mut shelves = self.shelves();
        let Some(record) = shelves.living(key, now) else {
            return Ok(Outcome::Gone);
        };
        let (outcome, after) = record.apply(commit, now);
        let Some(after) = after else {
            return Ok(outcome);
        };
        if let Some(sign_in) = &commit.sign_in
            && let Some(seats) = sign_in.seats
            && let Some(limit) = shelves.full(&sign_in.principal, key, seats, now)
        {
            return Ok(Outcome::Refused(limit));
        }
        shelves.put(key, after);
        Ok(outcome)
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let mut shelves = self.shelves();
        if !shelves.records.get(&key).is_some_and(|record| guard.allows(record, now)) {
            return Ok(None);
        }
        let Some(record) = shelves.take(key) else {
            return Ok(None);
        };
        let ending = Ending { key, reason: announce.reason, record };
        shelves.keep(announce.keep, &ending);
        Ok(Some(ending.record))
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        let mut shelves = self.shelves();
        let over: Vec<Key> = shelves
            .deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .take(limit)
            .map(|(_, key)| *key)
            .collect();
        let mut endings = Vec::with_capacity(over.len());
        for key in over {
            if let Some(record) = shelves.take(key) {
                let ending = Ending { key, reason: record.expiry(), record };
                shelves.keep(keep, &ending);
                endings.push(ending);
            }
        }
        Ok(endings)
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn endings(&self) -> Option<&dyn Endings> {
        Some(self)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: false, durable: false, keeps_endings: true }
    }
}

#[async_trait]
impl Directory for MemoryStore {
    async fn of_principal(&self, principal: &str, now: Timestamp) -> Result<Vec<(Key, Record)>> {
        let shelves = self.shelves();
        let seated = shelves.seated(principal, now);
        Ok(seated.into_iter().map(|(key, record)| (key, record.clone())).collect())
    }

    /// A login here is one step: none is ever half-way.
    async fn bar(&self, _principal: &str, _now: Timestamp) -> Result<()> {
        Ok(())
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        let shelves = self.shelves();
        let from = after.unwrap_or_else(|| Key::lowest(kind));
        Ok(shelves
            .records
            .range(from..)
            .take_while(|(key, _)| key.kind() == kind)
            .filter(|(key, record)| Some(**key) != after && !record.is_over(now))
            .take(limit)
            .map(|(key, _)| *key)
            .collect())
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        let shelves = self.shelves();
        let living = shelves
            .records
            .iter()
            .filter(|(key, record)| key.kind() == kind && !record.is_over(now));
        Ok(living.count() as u64)
    }
}

#[async_trait]
impl Endings for MemoryStore {
    async fn lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Result<Vec<Ending>> {
        let mut shelves = self.shelves();
        let lapsed = shelves.endings.values_mut().filter(|(leased_until, _)| *leased_until <= now);
        let mut leased = Vec::new();
        for (leased_until, ending) in lapsed.take(limit) {
            *leased_until = until;
            leased.push(ending.clone());
        }
        Ok(leased)
    }

    async fn acknowledge(&self, key: Key) -> Result<()> {
        self.shelves().endings.remove(&key);
        Ok(())
    }
}
