//! A store of any backend that can compare and swap.

mod book;
mod envelope;
mod login;
mod register;
mod seats;
mod sweep;

use async_lock::Mutex;
use async_trait::async_trait;

pub use envelope::Label;
pub use register::{Due, Held, NotAPlace, Place, Put, Register, Swapped};

use self::envelope::Envelope;
use super::{
    Announce, Built, Capabilities, Created, Directory, Endings, Error, Feed, Keep, Result, Store,
};
use crate::commit::{Commit, Guard, Outcome};
use crate::event::Ending;
use crate::record::Record;
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// How often one call tries to swap what somebody else keeps changing. Each time another one has
/// come through; who has lost this often is told that the store has no time.
const ROUNDS: usize = 1_000;
/// How many queues a node has for writers that have lost a swap; keys share them by chance.
const QUEUES: usize = 64;

/// A store that keeps its records in a [`Register`].
///
/// A load is one get. A commit is one swap where its maker knows the record, else a get and a swap;
/// it decides by [`Record::apply`], and again where somebody came between. A record and the ending
/// that it leaves lie in one place, so an ending is one swap as well. The sessions of a principal are
/// listed in a place of the principal's own, where a login takes its seat before it is written and
/// confirms it after.
pub struct Cas<R> {
    register: R,
    /// Held from a first lost swap on: if all went on at once, all but one would lose again.
    turns: [Mutex<()>; QUEUES],
}

impl<R: Register> Cas<R> {
    /// A store of what is in `register`.
    pub const fn new(register: R) -> Self {
        Self { register, turns: [const { Mutex::new(()) }; QUEUES] }
    }

    /// What the records are kept in.
    pub const fn register(&self) -> &R {
        &self.register
    }

    async fn read(&self, key: Key) -> Result<Option<Record>> {
        let held = self.register.get(Place::Record(key)).await?;
        Ok(held.map(|held| Envelope::open(key, &held)).transpose()?.and_then(|read| read.record))
    }

    /// Changes what is in the place of `key`, for as long as somebody comes between: `decide` says
    /// what to put there, and what to answer once it is there, or what to answer at once.
    async fn change<T>(
        &self,
        key: Key,
        now: Timestamp,
        mut decide: impl FnMut(Option<Envelope>) -> Result<Decision<T>> + Send,
    ) -> Result<T>
    where
        T: Send,
    {
        let held = self.register.get(Place::Record(key)).await?;
        self.change_from(key, held, now, &mut decide).await
    }

    /// The same from what has been read.
    async fn change_from<T>(
        &self,
        key: Key,
        mut held: Option<Held>,
        now: Timestamp,
        decide: &mut (impl FnMut(Option<Envelope>) -> Result<Decision<T>> + Send),
    ) -> Result<T>
    where
        T: Send,
    {
        let place = Place::Record(key);
        let mut turn = None;
        for _ in 0..ROUNDS {
            let read = held.as_ref().map(|held| Envelope::open(key, held)).transpose()?;
            let (after, answer) = match decide(read)? {
                Decision::Leave(answer) => return Ok(answer),
                Decision::Put(after, answer) => (after, answer),
            };
            match self.register.swap(place, held.as_ref(), after.seal(now).as_ref()).await? {
                Swapped::Done => return Ok(answer),
                Swapped::Found(found) => held = found,
            }
            if turn.is_none() {
                let queue = &self.turns[usize::from(key.as_bytes()[0]) % QUEUES];
                turn = queue.try_lock();
                if turn.is_none() {
                    turn = Some(queue.lock().await);
                    held = self.register.get(place).await?;
                }
            }
        }
        Err(Error::Refused("others kept changing the same session".into()))
    }

    /// Applies a commit: what became of it, the record before and the record after where it was
    /// written now.
    async fn apply(
        &self,
        key: Key,
        commit: &Commit,
        built: Option<Built<'_>>,
        now: Timestamp,
    ) -> Result<Applied> {
        let mut decide = |read: Option<Envelope>| {
            let read = read.unwrap_or_default();
            let Some(before) = read.record.clone() else {
                return Ok(Decision::Leave(Applied::only(Outcome::Gone)));
            };
            let (outcome, after) = before.apply(commit, now);
            let Some(after) = after else {
                let record = Some(before);
                return Ok(Decision::Leave(Applied { outcome, record, former: None }));
            };
            let record = Some(after.clone());
            Ok(Decision::Put(read.with(after), Applied { outcome, record, former: Some(before) }))
        };
        let Some(Built { base, after }) = built else {
            return self.change(key, now, decide).await;
        };
        let from = Held { bytes: Envelope::of((**base).clone()).bytes(), revision: None };
        let to = Envelope::of((**after).clone()).seal(now);
        match self.register.swap(Place::Record(key), Some(&from), to.as_ref()).await? {
            Swapped::Done => Ok(Applied {
                outcome: Outcome::Done { version: after.version },
                record: Some((**after).clone()),
                former: Some((**base).clone()),
            }),
            Swapped::Found(found) => self.change_from(key, found, now, &mut decide).await,
        }
    }

    async fn commit_any(
        &self,
        key: Key,
        commit: &Commit,
        built: Option<Built<'_>>,
        now: Timestamp,
    ) -> Result<Outcome> {
        match &commit.sign_in {
            Some(sign_in) if key.kind() == Kind::Session => {
                // In a box: what signs nobody in has nothing so large to carry.
                Box::pin(self.commit_login(key, commit, sign_in, built, now)).await
            }
            _ => Ok(self.apply(key, commit, built, now).await?.outcome),
        }
    }

    /// Stores a new record where there is none that lives.
    async fn insert(&self, key: Key, record: &Record, now: Timestamp) -> Result<Created> {
        let mut decide = |read: Option<Envelope>| {
            let read = read.unwrap_or_default();
            if read.record.as_ref().is_some_and(|old| !old.is_over(now)) {
                return Ok(Decision::Leave(Created::Exists));
            }
            let replaced = read.record.clone().map(Box::new);
            Ok(Decision::Put(read.with(record.clone()), Created::Done { replaced }))
        };
        // Most keys are new: nothing is read first.
        self.change_from(key, None, now, &mut decide).await
    }

    /// Removes a record that its guard allows to end.
    async fn remove(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let remove = |read: Option<Envelope>| {
            let record = read.as_ref().and_then(|read| read.record.clone());
            match (read, record) {
                (Some(read), Some(record)) if guard.allows(&record, now) => {
                    let after = read.without(key, announce.reason, announce.keep);
                    Ok(Decision::Put(after, Some(record)))
                }
                _ => Ok(Decision::Leave(None)),
            }
        };
        self.change(key, now, remove).await
    }
}

impl<R: Register> std::fmt::Debug for Cas<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cas").field(&self.register).finish()
    }
}

/// What to do about what is in a place.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
enum Decision<T> {
    /// Nothing: this is the answer.
    Leave(T),
    /// Put this there; once it is, this is the answer.
    Put(Envelope, T),
}

/// What became of a commit.
struct Applied {
    outcome: Outcome,
    /// The record as it is then.
    record: Option<Record>,
    /// The record before, where this call has written.
    former: Option<Record>,
}

impl Applied {
    const fn only(outcome: Outcome) -> Self {
        Self { outcome, record: None, former: None }
    }
}

#[async_trait]
impl<R: Register> Store for Cas<R> {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        Ok(self.read(key).await?.filter(|record| !record.is_over(now)))
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        if let (Kind::Session, Some(principal)) = (key.kind(), &record.principal) {
            return self.create_login(key, record, principal, seats, now).await;
        }
        let created = self.insert(key, record, now).await?;
        if let Created::Done { replaced: Some(old) } = &created {
            self.unseat(key, old).await;
        }
        Ok(created)
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        self.commit_any(key, commit, None, now).await
    }

    /// Where nobody has written in between, this is one swap.
    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.commit_any(key, commit, Some(built), now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let removed = self.remove(key, guard, announce, now).await?;
        match (&removed, guard) {
            (Some(record), _) => self.unseat(key, record).await,
            // It may be a login under way.
            (None, Guard::Principal(principal)) => self.vacate(principal, &[(key, None)]).await,
            (None, _) => {}
        }
        Ok(removed)
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        self.sweep(limit, keep, now).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        self.register.clock().await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn endings(&self) -> Option<&dyn Endings> {
        Some(self)
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.register.feed()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: true, durable: self.register.durable(), keeps_endings: true }
    }
}
