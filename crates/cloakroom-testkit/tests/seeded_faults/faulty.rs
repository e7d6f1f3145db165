//! A store in memory with one fault, as stores really have them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use cloakroom_core::commit::{Expect, Limit};
use cloakroom_core::record::CommitId;
use cloakroom_core::store::{Announce, Capabilities, Created, Directory, Endings, Keep, Result};
use cloakroom_core::{
    Commit, Ending, Guard, Key, Kind, MemoryStore, Outcome, Record, Store, Timestamp,
};
use tokio::task::yield_now;

/// What is wrong with a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// A commit to a key that has no record makes one.
    UpsertsRemoved,
    /// Expectations are not looked at.
    IgnoresVersions,
    /// A commit whose swap another has won is said to be done.
    SwallowsLostSwap,
    /// Reads and commits do not look at the deadline.
    NoDeadlineCheck,
    /// A sweep returns what the one before has returned.
    ExpiresTwice,
    /// A commit that is sent again is applied again.
    AppliesResends,
    /// The secret that a commit was opened under is not looked at.
    IgnoresOpener,
    /// A guard is not looked at.
    IgnoresGuard,
    /// An ending returns what it has read a moment before it removes.
    EndsWhatItRead,
    /// A sweep does not look again at what it has found over.
    ClaimsUnchecked,
    /// A sweep goes by the deadline that a record began with.
    SweepsByFirstDeadline,
    /// Seats are counted a moment before one is taken.
    CountsSeatsFirst,
    /// A commit is written in two steps.
    CommitsInHalves,
    /// An ending that is to be kept is not.
    ForgetsEndings,
    /// A lease keeps nobody else away.
    LeasesToAll,
    /// A principal's list has those too whose names begin like it.
    ListsByPrefix,
    /// Touches are answered and not written.
    DropsTouches,
    /// What newer versions wrote is lost in a commit.
    DropsUnknown,
}

impl Fault {
    pub(crate) const ALL: [Self; 19] = [
        Self::None,
        Self::UpsertsRemoved,
        Self::IgnoresVersions,
        Self::SwallowsLostSwap,
        Self::NoDeadlineCheck,
        Self::ExpiresTwice,
        Self::AppliesResends,
        Self::IgnoresOpener,
        Self::IgnoresGuard,
        Self::EndsWhatItRead,
        Self::ClaimsUnchecked,
        Self::SweepsByFirstDeadline,
        Self::CountsSeatsFirst,
        Self::CommitsInHalves,
        Self::ForgetsEndings,
        Self::LeasesToAll,
        Self::ListsByPrefix,
        Self::DropsTouches,
        Self::DropsUnknown,
    ];
}

/// The store in memory, with a fault.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: MemoryStore,
    fault: Fault,
    seen: Mutex<Seen>,
}

/// What faults remember.
#[derive(Debug, Default)]
struct Seen {
    commits: BTreeSet<[u8; 8]>,
    expired: Vec<Ending>,
    deadlines: BTreeMap<Key, Timestamp>,
    principals: BTreeSet<String>,
}

impl Faulty {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { inner: MemoryStore::new(), fault, seen: Mutex::default() }
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The commit as this store understands it.
    fn misread(&self, commit: &Commit) -> Commit {
        let mut commit = commit.clone();
        match self.fault {
            Fault::IgnoresVersions => {
                for change in commit.fields.values_mut() {
                    change.expect = Expect::Any;
                }
            }
            Fault::AppliesResends
                if !self.seen(|seen| seen.commits.insert(*commit.id.as_bytes())) =>
            {
                commit.id = CommitId::random();
            }
            Fault::IgnoresOpener => commit.opened_under = None,
            Fault::DropsTouches => commit.touch = false,
            _ => {}
        }
        commit
    }

    /// The time as this store understands it: where it looks at no deadline, none has come.
    async fn misread_time(&self, key: Key, now: Timestamp) -> Result<Timestamp> {
        if self.fault != Fault::NoDeadlineCheck {
            return Ok(now);
        }
        let record = self.inner.load(key, Timestamp::EPOCH).await?;
        let deadline = record.and_then(|record| record.deadline());
        let before = |deadline: Timestamp| Timestamp::from_millis(deadline.millis() - 1);
        Ok(deadline.map_or(now, |deadline| now.min(before(deadline))))
    }

    async fn upsert(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let (outcome, after) = Record::new(commit.opened_under, now).apply(commit, now);
        if let Some(record) = after {
            let _ = self.inner.create(key, &record, None, now).await?;
        }
        Ok(outcome)
    }

    async fn commit_by_swap(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let read = self.inner.load(key, now).await?;
        yield_now().await;
        if self.inner.load(key, now).await? == read {
            return self.inner.commit(key, commit, now).await;
        }
        let version = read.map_or(1, |record| record.version + 1);
        Ok(Outcome::Done { version })
    }

    async fn commit_in_halves(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let mut first = commit.clone();
        first.sign_in = None;
        let mut second = commit.clone();
        second.fields.clear();
        let outcome = self.inner.commit(key, &first, now).await?;
        yield_now().await;
        if second.sign_in.is_none() || !matches!(outcome, Outcome::Done { .. }) {
            return Ok(outcome);
        }
        self.inner.commit(key, &second, now).await
    }

    async fn drop_unknown(&self, key: Key, now: Timestamp) -> Result<()> {
        let Some(mut record) = self.inner.load(key, now).await? else {
            return Ok(());
        };
        record.unknown.clear();
        let announce = Announce { reason: cloakroom_core::Ended::Revoked, keep: Keep::Nothing };
        self.inner.end(key, &Guard::None, announce, now).await?;
        let _ = self.inner.create(key, &record, None, now).await?;
        Ok(())
    }

    /// Claims the records for which `over` says so, each a moment after it was asked.
    async fn claim(
        &self,
        limit: usize,
        keep: Keep,
        over: impl Fn(Key, &Record) -> bool,
    ) -> Result<Vec<Ending>> {
        let mut endings = Vec::new();
        for kind in Kind::ALL {
            for key in self.inner.page(kind, None, usize::MAX, Timestamp::EPOCH).await? {
                if endings.len() == limit {
                    return Ok(endings);
                }
                let record = self.inner.load(key, Timestamp::EPOCH).await?;
                let Some(record) = record.filter(|record| over(key, record)) else {
                    continue;
                };
                yield_now().await;
                let reason = record.expiry();
                let announce = Announce { reason, keep };
                let ended = self.inner.end(key, &Guard::None, announce, Timestamp::EPOCH);
                endings.extend(ended.await?.map(|record| Ending { key, reason, record }));
            }
        }
        Ok(endings)
    }
}

#[async_trait]
impl Store for Faulty {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        let now = self.misread_time(key, now).await?;
        self.inner.load(key, now).await
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        self.seen(|seen| {
            seen.deadlines.extend(record.deadline().map(|deadline| (key, deadline)));
            seen.principals.extend(record.principal.clone());
        });
        if let (Fault::CountsSeatsFirst, Some(who), Some(seats)) =
            (self.fault, &record.principal, seats)
        {
            let seated = self.inner.of_principal(who, now).await?;
            if seated.len() >= seats {
                let taken = seated.into_iter().map(|(key, _)| key).collect();
                return Ok(Created::Refused(Limit::Seats { taken }));
            }
            yield_now().await;
            return self.inner.create(key, record, None, now).await;
        }
        self.inner.create(key, record, seats, now).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let commit = &self.misread(commit);
        match self.fault {
            Fault::SwallowsLostSwap => return self.commit_by_swap(key, commit, now).await,
            Fault::CommitsInHalves => return self.commit_in_halves(key, commit, now).await,
            _ => {}
        }
        let now = self.misread_time(key, now).await?;
        let outcome = self.inner.commit(key, commit, now).await?;
        match (self.fault, &outcome) {
            (Fault::UpsertsRemoved, Outcome::Gone) => self.upsert(key, commit, now).await,
            (Fault::DropsUnknown, Outcome::Done { .. }) => {
                self.drop_unknown(key, now).await?;
                Ok(outcome)
            }
            _ => Ok(outcome),
        }
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        mut announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let guard = match self.fault {
            Fault::IgnoresGuard => &Guard::None,
            _ => guard,
        };
        if self.fault == Fault::ForgetsEndings {
            announce.keep = Keep::Nothing;
        }
        if self.fault == Fault::EndsWhatItRead {
            let read = self.inner.load(key, now).await?;
            yield_now().await;
            let ended = self.inner.end(key, guard, announce, now).await?;
            return Ok(ended.and(read));
        }
        self.inner.end(key, guard, announce, now).await
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        match self.fault {
            Fault::ClaimsUnchecked => {
                let over = |_, record: &Record| record.is_over(now);
                self.claim(limit, keep, over).await
            }
            Fault::SweepsByFirstDeadline => {
                let deadlines = self.seen(|seen| seen.deadlines.clone());
                let over = |key, _: &Record| deadlines.get(&key).is_some_and(|at| *at <= now);
                self.claim(limit, keep, over).await
            }
            Fault::ExpiresTwice => {
                let expired = self.inner.expire(limit, keep, now).await?;
                let before =
                    self.seen(|seen| std::mem::replace(&mut seen.expired, expired.clone()));
                Ok(if expired.is_empty() { before } else { expired })
            }
            Fault::ForgetsEndings => self.inner.expire(limit, Keep::Nothing, now).await,
            _ => self.inner.expire(limit, keep, now).await,
        }
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn endings(&self) -> Option<&dyn Endings> {
        Some(self)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

#[async_trait]
impl Directory for Faulty {
    async fn of_principal(&self, principal: &str, now: Timestamp) -> Result<Vec<(Key, Record)>> {
        let mut listed = self.inner.of_principal(principal, now).await?;
        if self.fault == Fault::ListsByPrefix {
            let known = self.seen(|seen| seen.principals.clone());
            for other in known.into_iter().filter(|other| other != principal) {
                if other.starts_with(principal) {
                    listed.extend(self.inner.of_principal(&other, now).await?);
                }
            }
        }
        Ok(listed)
    }

    async fn bar(&self, principal: &str, now: Timestamp) -> Result<()> {
        self.inner.bar(principal, now).await
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        self.inner.page(kind, after, limit, now).await
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        self.inner.count(kind, now).await
    }
}

#[async_trait]
impl Endings for Faulty {
    async fn lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Result<Vec<Ending>> {
        let until = match self.fault {
            // Long enough that one asker comes to an end, too short to keep the next away.
            Fault::LeasesToAll => until.min(now + std::time::Duration::from_millis(1)),
            _ => until,
        };
        self.inner.lease(limit, until, now).await
    }

    async fn acknowledge(&self, key: Key) -> Result<()> {
        self.inner.acknowledge(key).await
    }
}
