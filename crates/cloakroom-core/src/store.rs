//! What a store is: a handful of calls, each one atomic step, each told what time it is.

pub mod backoff;
mod breaker;
mod cas;
mod feed;
mod memory;
mod near;
mod reading;

use std::error::Error as StdError;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

pub use breaker::{Breaker, BreakerOptions};
pub use cas::{Cas, Due, Held, Label, NotAPlace, Place, Put, Register, Swapped};
pub use feed::{Feed, Notice, Notices, Source as FeedSource};
pub use memory::MemoryStore;
pub use near::{Near, NearOptions, NearStats, NoNear};
pub use reading::{Loaded, Wanted};

use crate::commit::{Commit, Guard, Limit, Outcome};
use crate::event::{Ended, Ending};
use crate::record::{Record, Unreadable};
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// Keeps records. Found, absent and unknown are three answers: `Ok(Some)`, `Ok(None)` and `Err`.
///
/// Every method is one atomic step: it happens whole or not at all, also where the future is
/// dropped half-way. The laws in `cloakroom-testkit` hold every implementation to
/// [`Record::apply`].
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Reads a record as the store has it. A record that is over at `now` reads as absent.
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>>;

    /// Reads a record that may have been kept nearer than the store, as long as it is what is
    /// `wanted`: whatever else is answered, the store has said so.
    async fn read(&self, key: Key, _wanted: &Wanted, now: Timestamp) -> Result<Option<Loaded>> {
        Ok(self.load(key, now).await?.map(Loaded::current))
    }

    /// What [`Store::read`] would answer without asking the store, where it can.
    fn cached(&self, _key: Key, _wanted: &Wanted, _now: Timestamp) -> Option<Loaded> {
        None
    }

    /// Stores a new record under a key that has none, or one that is over. Where it is a session
    /// with a principal and `seats` is given, the principal has at most that many afterwards; a
    /// living record under the key is told first.
    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created>;

    /// Does what [`Record::apply`] says; [`Outcome::Gone`] where there is no record. A sign-in that
    /// finds no seat for a session is refused only where the record would have let it pass.
    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome>;

    /// Commits like [`Store::commit`], and is told what the commit makes of the record as its maker
    /// knows it: where that still is the record, it need not be made again.
    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        _built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.commit(key, commit, now).await
    }

    /// Removes a record that is not over and that `guard` allows, and returns it.
    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>>;

    /// Removes up to `limit` records that are over, and returns them with the reason: each to one
    /// caller only, however many nodes call.
    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>>;

    /// The store's own clock, where it has one that is not this machine's.
    async fn clock(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }

    /// Finds sessions by their principal, and counts and pages through keys.
    fn directory(&self) -> Option<&dyn Directory> {
        None
    }

    /// The list of endings that are not acknowledged yet.
    fn endings(&self) -> Option<&dyn Endings> {
        None
    }

    /// What tells a cache of changes that others make.
    fn feed(&self) -> Option<&dyn Feed> {
        None
    }

    /// For how long after an answer its client has to return the version that it saw, so that it
    /// is never shown an older one: where other nodes may read from a cache. `None`: they do not.
    fn fence(&self) -> Option<Duration> {
        None
    }

    /// What this store promises.
    fn capabilities(&self) -> Capabilities;
}

/// What [`Record::apply`] has made of a record: done, and written.
#[derive(Clone, Copy, Debug)]
pub struct Built<'a> {
    /// The record as it was known.
    pub base: &'a Arc<Record>,
    /// What the commit has made of it.
    pub after: &'a Arc<Record>,
}

/// Whether what is removed also goes to the list of endings, in the same step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// No: the caller announces it, or nobody does.
    Nothing,
    /// Yes, leased to the caller until then. Ignored where the store keeps no endings, and for
    /// records that are not sessions.
    LeasedUntil(Timestamp),
}

/// Why a record is ended, and what is kept of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announce {
    /// The reason.
    pub reason: Ended,
    /// Whether the record goes to the list of endings.
    pub keep: Keep,
}

/// What became of a new record.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a record that was not created is not there"]
pub enum Created {
    /// It is stored. `replaced` was under the same key, over and not yet swept.
    Done {
        /// What it replaced.
        replaced: Option<Box<Record>>,
    },
    /// There is a living record under this key; nothing was stored.
    Exists,
    /// All of the principal's sessions were ended meanwhile; nothing is left of this one.
    Barred,
    /// A limit stands against it; nothing was stored.
    Refused(Limit),
}

/// Finds records other than by key.
#[async_trait]
pub trait Directory: Debug + Send + Sync {
    /// The principal's living sessions, the oldest login first.
    async fn of_principal(&self, principal: &str, now: Timestamp) -> Result<Vec<(Key, Record)>>;

    /// Makes every login of the principal that has begun and is not finished fail. Called before
    /// all of a principal's sessions are ended, so that none is missed.
    async fn bar(&self, principal: &str, now: Timestamp) -> Result<()>;

    /// Up to `limit` keys of living records of a kind, in an order of the store's own, from
    /// behind `after` on. An empty answer is the end. Records created or ended meanwhile may be
    /// missed.
    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>>;

    /// How many living records of a kind there are.
    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64>;
}

/// Endings that wait to be announced.
#[async_trait]
pub trait Endings: Debug + Send + Sync {
    /// Takes up to `limit` endings whose lease has lapsed, and leases them to the caller until
    /// `until`: each to one caller only.
    async fn lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Result<Vec<Ending>>;

    /// Forgets an ending that its listeners have heard.
    async fn acknowledge(&self, key: Key) -> Result<()>;
}

/// What a store promises beyond the laws.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    /// Other processes see the same records.
    pub shared: bool,
    /// Records outlive the process.
    pub durable: bool,
    /// Endings are announced at least once, not at most once.
    pub keeps_endings: bool,
}

/// A store's answer, or that there is none.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store did not answer. Never that a record is absent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store could not be asked. The call has changed nothing.
    #[error("the session store cannot be reached")]
    Unreachable(#[source] Source),
    /// The store was asked and did not answer. The call may have been carried out.
    #[error("the session store did not answer; whether it acted is unknown")]
    Unanswered(#[source] Source),
    /// The store answered that it will not. The call has changed nothing.
    #[error("the session store refused")]
    Refused(#[source] Source),
    /// What is stored under `key` is not a record that this version can read.
    #[error("the record {key} cannot be read")]
    Unreadable {
        /// Which.
        key: Key,
        /// Why.
        #[source]
        source: Unreadable,
    },
}

/// What a driver said.
pub type Source = Box<dyn StdError + Send + Sync>;

impl Error {
    /// Whether the call may have been carried out all the same.
    pub const fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unanswered(_))
    }
}

/// A call as `async_trait` has it.
type Asked<'a, T> = BoxFuture<'a, Result<T>>;

/// Hands every call on as it is, and no future is put into another.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn load<'s: 'a, 'a>(&'s self, key: Key, now: Timestamp) -> Asked<'a, Option<Record>> {
        (**self).load(key, now)
    }

    fn read<'s: 'a, 'w: 'a, 'a>(
        &'s self,
        key: Key,
        wanted: &'w Wanted,
        now: Timestamp,
    ) -> Asked<'a, Option<Loaded>> {
        (**self).read(key, wanted, now)
    }

    fn cached(&self, key: Key, wanted: &Wanted, now: Timestamp) -> Option<Loaded> {
        (**self).cached(key, wanted, now)
    }

    fn create<'s: 'a, 'r: 'a, 'a>(
        &'s self,
        key: Key,
        record: &'r Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Asked<'a, Created> {
        (**self).create(key, record, seats, now)
    }

    fn commit<'s: 'a, 'c: 'a, 'a>(
        &'s self,
        key: Key,
        commit: &'c Commit,
        now: Timestamp,
    ) -> Asked<'a, Outcome> {
        (**self).commit(key, commit, now)
    }

    fn commit_built<'s: 'a, 'c: 'a, 'b: 'a, 'a>(
        &'s self,
        key: Key,
        commit: &'c Commit,
        built: Built<'b>,
        now: Timestamp,
    ) -> Asked<'a, Outcome> {
        (**self).commit_built(key, commit, built, now)
    }

    fn end<'s: 'a, 'g: 'a, 'a>(
        &'s self,
        key: Key,
        guard: &'g Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Asked<'a, Option<Record>> {
        (**self).end(key, guard, announce, now)
    }

    fn expire<'s: 'a, 'a>(
        &'s self,
        limit: usize,
        keep: Keep,
        now: Timestamp,
    ) -> Asked<'a, Vec<Ending>> {
        (**self).expire(limit, keep, now)
    }

    fn clock<'s: 'a, 'a>(&'s self) -> Asked<'a, Option<Timestamp>> {
        (**self).clock()
    }

    fn directory(&self) -> Option<&dyn Directory> {
        (**self).directory()
    }

    fn endings(&self) -> Option<&dyn Endings> {
        (**self).endings()
    }

    fn feed(&self) -> Option<&dyn Feed> {
        (**self).feed()
    }

    fn fence(&self) -> Option<Duration> {
        (**self).fence()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
}
