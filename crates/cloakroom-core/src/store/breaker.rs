//! A circuit breaker: a store that does not answer is left alone for a while, and its callers are
//! told at once.

mod circuit;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use self::circuit::{Circuit, Pass};
use super::{
    Announce, Built, Capabilities, Created, Directory, Endings, Error, Feed, Keep, Loaded, Result,
    Store, Wanted,
};
use crate::commit::{Commit, Guard, Outcome};
use crate::event::Ending;
use crate::record::Record;
use crate::time::{Timer, Timestamp};
use crate::token::{Key, Kind};

/// When a store is left alone, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerOptions {
    /// How many calls in a row have to fail. Default 8.
    pub failures: u32,
    /// How long a call that its caller gives up must have waited to count as failed. Keep it
    /// shorter than the policy's `call_deadline`. Default 1 second.
    pub slow: Duration,
    /// For how long the store is left alone at first; then one call tries it, and each that fails
    /// doubles this. Default 250 ms.
    pub pause: Duration,
    /// For how long it is left alone at the most. Default 4 seconds.
    pub longest_pause: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures: 8,
            slow: Duration::from_secs(1),
            pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(4),
        }
    }
}

/// A store with a circuit breaker in front of it.
///
/// After several calls in a row without an answer, callers get [`Error::Unreachable`] at once
/// instead of waiting for their deadline. Then one call after the other tries the store, until one
/// is answered.
pub struct Breaker<S> {
    store: S,
    timer: Arc<dyn Timer>,
    options: BreakerOptions,
    circuit: Mutex<Circuit>,
}

/// Why a call was not made.
#[derive(Debug, thiserror::Error)]
#[error("the store has not answered of late; it is asked again in {} ms", again_in.as_millis())]
struct Open {
    again_in: Duration,
}

impl<S: Store> Breaker<S> {
    /// Puts a circuit breaker in front of `store`.
    pub fn new(store: S, timer: impl Timer, options: BreakerOptions) -> Self {
        let circuit = Mutex::new(Circuit::new(options));
        Self { store, timer: Arc::new(timer), options, circuit }
    }

    /// A poisoned lock means a panic of the circuit itself, which has none.
    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let began = self.timer.elapsed();
        let pass = match self.circuit().admit(began) {
            Ok(pass) => pass,
            Err(again_in) => return Err(Error::Unreachable(Open { again_in }.into())),
        };
        let mut asking = Asking { breaker: self, pass, began, answered: false };
        let answer = call.await;
        asking.answered = true;
        match &answer {
            Err(Error::Unreachable(_) | Error::Unanswered(_)) => self.failed(pass),
            Ok(_) | Err(Error::Refused(_) | Error::Unreadable { .. }) => self.answered(),
        }
        answer
    }

    fn failed(&self, pass: Pass) {
        let opened = self.circuit().failed(pass, self.timer.elapsed());
        if opened {
            tracing::warn!(store = ?self.store, "the session store does not answer: it is left alone for a while");
        }
    }

    fn answered(&self) {
        let closed = self.circuit().answered();
        if closed {
            tracing::info!(store = ?self.store, "the session store answers again");
        }
    }

    /// Only called by those whose `directory()` has answered.
    fn inner_directory(&self) -> Result<&dyn Directory> {
        self.store.directory().ok_or_else(|| Error::Refused("there is no directory".into()))
    }

    /// Only called by those whose `endings()` has answered.
    fn inner_endings(&self) -> Result<&dyn Endings> {
        self.store.endings().ok_or_else(|| Error::Refused("there are no endings".into()))
    }
}

/// A call under way. One that is given up has failed where it was slow, and else says nothing.
struct Asking<'a, S: Store> {
    breaker: &'a Breaker<S>,
    pass: Pass,
    began: Duration,
    answered: bool,
}

impl<S: Store> Drop for Asking<'_, S> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let waited = self.breaker.timer.elapsed().saturating_sub(self.began);
        if waited >= self.breaker.options.slow {
            self.breaker.failed(self.pass);
        } else {
            self.breaker.circuit().said_nothing(self.pass);
        }
    }
}

impl<S: Store> fmt::Debug for Breaker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Breaker").field(&self.store).finish()
    }
}

#[async_trait]
impl<S: Store> Store for Breaker<S> {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        self.ask(self.store.load(key, now)).await
    }

    async fn read(&self, key: Key, wanted: &Wanted, now: Timestamp) -> Result<Option<Loaded>> {
        self.ask(self.store.read(key, wanted, now)).await
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        self.ask(self.store.create(key, record, seats, now)).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        self.ask(self.store.commit(key, commit, now)).await
    }

    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.ask(self.store.commit_built(key, commit, built, now)).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        self.ask(self.store.end(key, guard, announce, now)).await
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        self.ask(self.store.expire(limit, keep, now)).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        self.ask(self.store.clock()).await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        self.store.directory().map(|_| self as &dyn Directory)
    }

    fn endings(&self) -> Option<&dyn Endings> {
        self.store.endings().map(|_| self as &dyn Endings)
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.store.feed()
    }

    fn fence(&self) -> Option<Duration> {
        self.store.fence()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

#[async_trait]
impl<S: Store> Directory for Breaker<S> {
    async fn of_principal(&self, principal: &str, now: Timestamp) -> Result<Vec<(Key, Record)>> {
        self.ask(self.inner_directory()?.of_principal(principal, now)).await
    }

    async fn bar(&self, principal: &str, now: Timestamp) -> Result<()> {
        self.ask(self.inner_directory()?.bar(principal, now)).await
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        self.ask(self.inner_directory()?.page(kind, after, limit, now)).await
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        self.ask(self.inner_directory()?.count(kind, now)).await
    }
}

#[async_trait]
impl<S: Store> Endings for Breaker<S> {
    async fn lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Result<Vec<Ending>> {
        self.ask(self.inner_endings()?.lease(limit, until, now)).await
    }

    async fn acknowledge(&self, key: Key) -> Result<()> {
        self.ask(self.inner_endings()?.acknowledge(key)).await
    }
}
