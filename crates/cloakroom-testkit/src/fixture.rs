//! A store under test, and what has to live as long as it does.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::keeping::{KeyRing, Sealed};
use cloakroom_core::sessions::Builder;
use cloakroom_core::store::{Announce, Created, Directory, Endings, Keep, Wanted};
use cloakroom_core::{
    Commit, Ended, Ending, Guard, Key, Outcome, Record, Sessions, Store, Timestamp,
};

use crate::TokioTimer;

/// How long a law may take. It is far above what any takes: a law that hangs fails.
const LAW_BOUND: Duration = Duration::from_secs(180);

/// A store that is empty and that nobody else uses, with what keeps it alive.
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The ways of other nodes to the same records.
    others: Vec<Arc<dyn Store>>,
    /// The keys of sessions that their clients keep.
    keys: Option<KeyRing>,
    keeps: Box<dyn Any + Send + Sync>,
}

impl Fixture {
    /// Puts a store to the test. It must be empty, and nobody else may use it meanwhile: a store
    /// on a shared server has a prefix, a schema or a database of its own.
    pub fn new(store: impl Store) -> Self {
        Self { store: Arc::new(store), others: Vec::new(), keys: None, keeps: Box::new(()) }
    }

    /// Puts sessions to the test that are sealed with `keys` and kept by their clients, with a store
    /// for epochs and for the application's attributes.
    pub fn sealed(keys: KeyRing, epochs: impl Store) -> Self {
        Self { keys: Some(keys), ..Self::new(epochs) }
    }

    /// Begins to set up sessions in `store`, which is this fixture's or around it; or sealed ones
    /// that have their epochs there.
    pub fn sessions(&self, store: Arc<dyn Store>) -> Builder {
        match &self.keys {
            Some(keys) => Sessions::sealed(Sealed::new(keys.clone()).epochs(store), TokioTimer),
            None => Sessions::builder(store, TokioTimer),
        }
    }

    /// Puts to the test what several nodes have of one store, each a way of its own to it, such as
    /// a cache.
    pub fn of_nodes(mut nodes: Vec<Arc<dyn Store>>) -> Self {
        assert!(!nodes.is_empty(), "there is a node");
        let store = nodes.remove(0);
        Self { store, others: nodes, keys: None, keeps: Box::new(()) }
    }

    /// What the `n`-th node has, from 0 on: where not each has its own, what all have.
    pub fn node(&self, n: usize) -> Arc<dyn Store> {
        match n % (1 + self.others.len()) {
            0 => Arc::clone(&self.store),
            n => Arc::clone(&self.others[n - 1]),
        }
    }

    /// Keeps `guard` until the law is done: a temporary directory, a server.
    #[must_use]
    pub fn holding(self, guard: impl Any + Send + Sync) -> Self {
        Self { keeps: Box::new((self.keeps, guard)), ..self }
    }

    /// Reads a record, from a cache where the store has one.
    pub async fn load(&self, key: Key, now: Timestamp) -> Option<Record> {
        let read = self.store.read(key, &Wanted::default(), now).await;
        read.expect("read is answered").map(|loaded| (*loaded.record).clone())
    }

    /// Creates a record with no limit on seats.
    pub async fn try_create(&self, key: Key, record: &Record, now: Timestamp) -> Created {
        let answer = self.store.create(key, record, None, now).await;
        answer.expect("create is answered")
    }

    /// Creates a record under a key that has none.
    pub async fn create(&self, key: Key, record: &Record, now: Timestamp) {
        let created = self.try_create(key, record, now).await;
        assert_eq!(created, Created::Done { replaced: None });
    }

    /// Commits.
    pub async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Outcome {
        let answer = self.store.commit(key, commit, now).await;
        answer.expect("commit is answered")
    }

    /// Commits what must be done, and returns the version.
    pub async fn done(&self, key: Key, commit: &Commit, now: Timestamp) -> u64 {
        match self.commit(key, commit, now).await {
            Outcome::Done { version } => version,
            other => panic!("expected the commit to be done, not {other:?}"),
        }
    }

    /// Commits, and holds the answer and what is stored then to [`Record::apply`] on `before`.
    /// Returns the record as it is then.
    pub async fn follow(
        &self,
        key: Key,
        before: &Record,
        commit: &Commit,
        now: Timestamp,
    ) -> Record {
        let (outcome, after) = before.apply(commit, now);
        assert_eq!(self.commit(key, commit, now).await, outcome);
        let expected = after.unwrap_or_else(|| before.clone());
        let living = (!expected.is_over(now)).then_some(&expected);
        assert_eq!(self.load(key, now).await.as_ref(), living);
        expected
    }

    /// Ends a record as its user would, and keeps nothing of it.
    pub async fn end(&self, key: Key, guard: &Guard, now: Timestamp) -> Option<Record> {
        let announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };
        self.end_as(key, guard, announce, now).await
    }

    /// Ends a record.
    pub async fn end_as(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Option<Record> {
        let answer = self.store.end(key, guard, announce, now).await;
        answer.expect("end is answered")
    }

    /// Takes up to `limit` records that are over.
    pub async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Vec<Ending> {
        let answer = self.store.expire(limit, keep, now).await;
        let endings = answer.expect("expire is answered");
        assert!(endings.len() <= limit, "expire returns at most its limit");
        endings
    }

    /// Takes everything that is over, call after call until one returns nothing.
    pub async fn expire_all(&self, keep: Keep, now: Timestamp) -> Vec<Ending> {
        let mut all = Vec::new();
        loop {
            let some = self.expire(100, keep, now).await;
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }

    /// The store's directory. `None` says aloud that the law does not apply.
    pub fn directory(&self) -> Option<&dyn Directory> {
        let directory = self.store.directory();
        if directory.is_none() {
            eprintln!("does not apply: this store has no directory");
        }
        directory
    }

    /// The store's list of endings. `None` says aloud that the law does not apply; a store that
    /// promises to keep endings and has no list fails.
    pub fn endings(&self) -> Option<&dyn Endings> {
        let endings = self.store.endings();
        assert_eq!(
            endings.is_some(),
            self.store.capabilities().keeps_endings,
            "a store has a list of endings exactly where its capabilities say so"
        );
        if endings.is_none() {
            eprintln!("does not apply: this store keeps no endings");
        }
        endings
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("store", &self.store).finish_non_exhaustive()
    }
}

/// One law's run on a fixture.
pub type Run<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A law as a value.
pub type Law = for<'a> fn(&'a Fixture) -> Run<'a>;

/// Holds a fresh fixture to one law, on a runtime of its own. Panics where the law is broken, or
/// does not come to its end.
pub fn hold(name: &str, fixture: impl Future<Output = Fixture>, law: Law) {
    held(name, Box::pin(fixture), law);
}

/// Compiled once, and not for each of thousands of tests.
fn held(name: &str, fixture: Pin<Box<dyn Future<Output = Fixture> + '_>>, law: Law) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let fixture = fixture.await;
        if tokio::time::timeout(LAW_BOUND, law(&fixture)).await.is_err() {
            panic!("the law {name} did not come to its end");
        }
    });
}
