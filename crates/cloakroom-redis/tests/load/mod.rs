//! Users at work while servers fail: each writes to a session of their own and reads it, and notes
//! what the store has acknowledged.

#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cloakroom_core::store::Error;
use cloakroom_core::{Key, Outcome, Store};
use cloakroom_redis::RedisStore;
use cloakroom_testkit::samples::{Doing, START, administer, key, session};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// What no step takes, even on a busy machine.
const BOUND: Duration = Duration::from_secs(60);
/// How often each user does something.
const EVERY: Duration = Duration::from_millis(2);
/// How many writes after the fault show that all is well again.
const ENOUGH: u64 = 20;

/// Users at work.
pub(crate) struct Load {
    store: Arc<RedisStore>,
    shared: Arc<Shared>,
    users: JoinSet<User>,
    keys: Vec<Key>,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    /// Grows with every fault; users count what they do since the last one.
    phase: AtomicUsize,
    /// How many users are well in this phase.
    well: AtomicUsize,
}

/// One user's session, and what came of their writes.
pub(crate) struct User {
    pub(crate) key: Key,
    pub(crate) acknowledged: u64,
    /// Writes whose answer did not come: they may have been made.
    pub(crate) unknown: u64,
    pub(crate) failed: u64,
    /// The version that was acknowledged last.
    pub(crate) version: u64,
}

impl Load {
    /// Creates sessions for so many users.
    pub(crate) async fn prepare(store: Arc<RedisStore>, users: usize) -> Self {
        let keys: Vec<Key> = (0..users).map(|_| key()).collect();
        for key in &keys {
            let _ = store.create(*key, &session(START), None, START).await.expect("it is created");
        }
        Self { store, shared: Arc::default(), users: JoinSet::new(), keys }
    }

    /// The sessions.
    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Lets them work.
    pub(crate) fn start(&mut self) {
        for key in self.keys.clone() {
            let (store, shared) = (Arc::clone(&self.store), Arc::clone(&self.shared));
            self.users.spawn(work(store, key, shared));
        }
    }

    /// Waits until every user has written some more, since now.
    pub(crate) async fn is_well(&mut self) {
        self.shared.well.store(0, Ordering::SeqCst);
        self.shared.phase.fetch_add(1, Ordering::SeqCst);
        let mut looks = interval(EVERY);
        let all_well = async {
            while self.shared.well.load(Ordering::SeqCst) < self.keys.len() {
                looks.tick().await;
                if let Some(ended) = self.users.try_join_next() {
                    ended.expect("a user sees nothing that must not be");
                }
            }
        };
        timeout(BOUND, all_well).await.expect("everybody can write again");
    }

    /// Lets them come to an end. Every session is as its last acknowledged write left it, but for
    /// writes that nobody has heard of.
    pub(crate) async fn stop(mut self) -> Vec<User> {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let mut users = Vec::new();
        while let Some(user) = self.users.join_next().await {
            let user = user.expect("a user sees nothing that must not be");
            let record = self.store.load(user.key, START).await.expect("it answers");
            let record = record.expect("nobody ended it");
            assert!(record.version >= user.version, "an acknowledged write is lost");
            assert!(record.version <= user.version + user.unknown, "a write was made twice");
            users.push(user);
        }
        users
    }
}

/// Writes until it is stopped. Whatever the store says, it never says that the session is gone.
async fn work(store: Arc<RedisStore>, key: Key, shared: Arc<Shared>) -> User {
    let mut user = User { key, acknowledged: 0, unknown: 0, failed: 0, version: 1 };
    let (mut phase, mut since) = (0, 0);
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shared.stopped.load(Ordering::SeqCst) {
        turns.tick().await;
        let now = shared.phase.load(Ordering::SeqCst);
        if now != phase {
            (phase, since) = (now, 0);
        }
        match store.load(key, START).await {
            Ok(found) => assert!(found.is_some(), "a session is gone"),
            Err(error) => expected(&error),
        }
        let commit = administer().set("n", user.acknowledged.to_string());
        match store.commit(key, &commit, START).await {
            Ok(Outcome::Done { version }) => {
                user.acknowledged += 1;
                user.version = version;
                since += 1;
                if since == ENOUGH {
                    shared.well.fetch_add(1, Ordering::SeqCst);
                }
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                expected(&error);
                user.failed += 1;
                user.unknown += u64::from(error.is_ambiguous());
            }
        }
    }
    user
}

fn expected(error: &Error) {
    let fits = matches!(error, Error::Unreachable(_) | Error::Unanswered(_) | Error::Refused(_));
    assert!(fits, "{error:?}");
}

/// Prints what came of the writes.
#[expect(clippy::print_stdout, reason = "figures to read, not to judge by")]
pub(crate) fn print(what: &str, users: &[User]) {
    let sum = |of: fn(&User) -> u64| users.iter().map(of).sum::<u64>();
    let kept: u64 = users.iter().map(|user| user.version - 1).sum();
    println!(
        "{what}: {} writes acknowledged, {} failed, {} of these unknown; the last acknowledged \
         versions add up to {kept}",
        sum(|user| user.acknowledged),
        sum(|user| user.failed),
        sum(|user| user.unknown),
    );
}
