//! Stores around a store: one counts what is asked, one fails on demand, one hangs on demand, one
//! has something else happen in the middle of a call, one asks several in turn, and one is shared by
//! several nodes and tells each what the others change.
//!
//! Most are a [`Wrapped`] store with another [`Intercept`]: what happens around every call,
//! those to the directory and the list of endings included.

mod building;
mod counting;
mod failing;
mod fed;
mod hanging;
mod hooked;
mod in_turn;
mod register;
mod shaky;

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Created, Directory, Endings, Error, Feed, Keep, Loaded, Result,
    Wanted,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Kind, Outcome, Record, Store, Timestamp};

pub use building::Building;
pub use counting::{Count, Counting};
pub use failing::{Fail, Failing, Plan};
pub use fed::{Breach, Fed, Lag, Merge, Pace, Shape, Wire};
pub use hanging::{Hanging, Switch};
pub use hooked::{Hooked, Hooks};
pub use in_turn::InTurn;
pub use register::{Lost, MemoryRegister, Tells};
pub use shaky::{Chances, Mood, Shaky};

/// What can be asked of a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Call {
    /// [`Store::load`] and [`Store::read`].
    Load,
    /// [`Store::create`].
    Create,
    /// [`Store::commit`].
    Commit,
    /// [`Store::end`].
    End,
    /// [`Store::expire`].
    Expire,
    /// [`Store::clock`].
    Clock,
    /// [`Directory::of_principal`].
    OfPrincipal,
    /// [`Directory::bar`].
    Bar,
    /// [`Directory::page`].
    Page,
    /// [`Directory::count`].
    Count,
    /// [`Endings::lease`].
    Lease,
    /// [`Endings::acknowledge`].
    Acknowledge,
}

impl Call {
    /// Whether it may change what is kept.
    pub const fn writes(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Commit
                | Self::End
                | Self::Expire
                | Self::Bar
                | Self::Lease
                | Self::Acknowledge
        )
    }
}

/// The answer of a store that was not reached: it has not acted.
pub fn unreached() -> Error {
    Error::Unreachable("this call was to fail".into())
}

/// The answer of a store whose own answer got lost: it may have acted.
pub fn lost() -> Error {
    Error::Unanswered("this call's answer was to be lost".into())
}

/// What happens before and after a call. An error from either is the caller's answer; one from
/// `before` keeps the store from being asked.
#[async_trait]
pub trait Intercept: Debug + Send + Sync + 'static {
    /// What `before` has to tell `after`.
    type Around: Send;

    /// Happens before the store is asked.
    async fn before(&self, call: Call) -> Result<Self::Around>;

    /// Happens after the store has answered.
    async fn after(&self, _call: Call, _around: Self::Around) -> Result<()> {
        Ok(())
    }
}

/// A store with something around every call.
#[derive(Debug)]
pub struct Wrapped<I> {
    inner: Arc<dyn Store>,
    intercept: Arc<I>,
}

impl<I: Intercept> Wrapped<I> {
    /// Puts `intercept` around every call to `inner`.
    pub fn around(inner: Arc<dyn Store>, intercept: I) -> Self {
        Self { inner, intercept: Arc::new(intercept) }
    }

    /// The same around another way to the same records: what happens around the one's calls and the
    /// other's is one thing.
    #[must_use]
    pub fn beside(&self, inner: Arc<dyn Store>) -> Self {
        Self { inner, intercept: Arc::clone(&self.intercept) }
    }

    async fn ask<T>(&self, call: Call, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let around = self.intercept.before(call).await?;
        let answer = answer.await?;
        self.intercept.after(call, around).await?;
        Ok(answer)
    }

    /// Only called by those whose `directory()` has answered.
    fn inner_directory(&self) -> &dyn Directory {
        self.inner.directory().expect("the store has a directory")
    }

    /// Only called by those whose `endings()` has answered.
    fn inner_endings(&self) -> &dyn Endings {
        self.inner.endings().expect("the store keeps endings")
    }
}

impl<I> Clone for Wrapped<I> {
    /// The same store once more.
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), intercept: Arc::clone(&self.intercept) }
    }
}

#[async_trait]
impl<I: Intercept> Store for Wrapped<I> {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        self.ask(Call::Load, self.inner.load(key, now)).await
    }

    async fn read(&self, key: Key, wanted: &Wanted, now: Timestamp) -> Result<Option<Loaded>> {
        self.ask(Call::Load, self.inner.read(key, wanted, now)).await
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        let answer = self.inner.create(key, record, seats, now);
        self.ask(Call::Create, answer).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let answer = self.inner.commit(key, commit, now);
        self.ask(Call::Commit, answer).await
    }

    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        let answer = self.inner.commit_built(key, commit, built, now);
        self.ask(Call::Commit, answer).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let answer = self.inner.end(key, guard, announce, now);
        self.ask(Call::End, answer).await
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        let answer = self.inner.expire(limit, keep, now);
        self.ask(Call::Expire, answer).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        self.ask(Call::Clock, self.inner.clock()).await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        self.inner.directory().map(|_| self as &dyn Directory)
    }

    fn endings(&self) -> Option<&dyn Endings> {
        self.inner.endings().map(|_| self as &dyn Endings)
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.inner.feed()
    }

    fn fence(&self) -> Option<Duration> {
        self.inner.fence()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

#[async_trait]
impl<I: Intercept> Directory for Wrapped<I> {
    async fn of_principal(&self, principal: &str, now: Timestamp) -> Result<Vec<(Key, Record)>> {
        let answer = self.inner_directory().of_principal(principal, now);
        self.ask(Call::OfPrincipal, answer).await
    }

    async fn bar(&self, principal: &str, now: Timestamp) -> Result<()> {
        let answer = self.inner_directory().bar(principal, now);
        self.ask(Call::Bar, answer).await
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        let answer = self.inner_directory().page(kind, after, limit, now);
        self.ask(Call::Page, answer).await
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        let answer = self.inner_directory().count(kind, now);
        self.ask(Call::Count, answer).await
    }
}

#[async_trait]
impl<I: Intercept> Endings for Wrapped<I> {
    async fn lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Result<Vec<Ending>> {
        let answer = self.inner_endings().lease(limit, until, now);
        self.ask(Call::Lease, answer).await
    }

    async fn acknowledge(&self, key: Key) -> Result<()> {
        let answer = self.inner_endings().acknowledge(key);
        self.ask(Call::Acknowledge, answer).await
    }
}
