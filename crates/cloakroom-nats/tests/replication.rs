//! What replication is for: every node has every session in memory, as far as there is room, and
//! none ever answers less than it should, from its first request on.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::{Near, NearOptions, Wanted};
use cloakroom_core::{Ended, Guard, Key, Outcome, Record, Store};
use cloakroom_nats::{NatsStore, Options};
use cloakroom_testkit::near;
use cloakroom_testkit::samples::{Doing, START, key, session, visit};
use cloakroom_testkit::servers::Nats;
use futures_util::StreamExt;
use futures_util::stream::iter;
use tokio::time::{interval, timeout};

/// What nothing takes, even on a busy machine.
const BOUND: Duration = Duration::from_secs(120);
/// How many calls are under way at once.
const TOGETHER: usize = 64;

async fn store(server: &Nats) -> NatsStore {
    NatsStore::connect(&server.url(), Options::default()).await.expect("it can be used")
}

async fn fill(store: &NatsStore, count: usize) -> Vec<(Key, Record)> {
    let sessions: Vec<_> = (0..count).map(|_| (key(), session(START))).collect();
    let creations = sessions.iter().map(|(key, record)| store.create(*key, record, None, START));
    let made = iter(creations).buffer_unordered(TOGETHER);
    made.for_each(|created| async { drop(created.expect("it is created")) }).await;
    sessions
}

async fn commit(store: &impl Store, key: Key, record: &Record, value: &str) -> u64 {
    let commit = visit(record).set("cart", value.to_owned());
    match store.commit(key, &commit, START).await.expect("it answers") {
        Outcome::Done { version } => version,
        other => panic!("it is not done: {other:?}"),
    }
}

/// The version that a node shows to whoever has seen `at_least`.
async fn shown<S: Store>(near: &Near<S>, key: Key, at_least: u64) -> u64 {
    let wanted = Wanted { at_least, ..Wanted::default() };
    let loaded = near.read(key, &wanted, START).await.expect("it answers");
    loaded.expect("it is there").record.version
}

/// Waits until a node has so many records in memory.
async fn has<S: Store>(near: &Near<S>, count: u64) {
    let mut looks = interval(Duration::from_millis(10));
    let comes = async {
        while near.stats().records < count {
            looks.tick().await;
        }
    };
    timeout(BOUND, comes).await.expect("it is told of all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_reads_from_memory_what_it_was_never_asked_for() {
    let server = Nats::start().await;
    let (one, two) = (store(&server).await, store(&server).await);
    let before = fill(&one, 200).await;
    let two = near::near(two, NearOptions::default()).await;
    let after = fill(&one, 200).await;
    has(&two, 400).await;
    near::trust(&two).await;
    let misses = two.stats().misses;
    for (key, record) in before.iter().chain(&after) {
        let cached = two.cached(*key, &Wanted::default(), START).expect("it is in memory");
        assert_eq!(*cached.record, *record);
    }
    // What is written elsewhere comes by itself, and what is ended there goes.
    let (key, record) = &before[0];
    let version = commit(&one, *key, record, "1").await;
    let announce = cloakroom_core::store::Announce {
        reason: Ended::LoggedOut,
        keep: cloakroom_core::store::Keep::Nothing,
    };
    let ended = one.end(before[1].0, &Guard::None, announce, START).await.expect("it answers");
    assert!(ended.is_some());
    let mut looks = interval(Duration::from_millis(5));
    let cached = |key| two.cached(key, &Wanted::default(), START);
    let comes = async {
        while cached(*key).is_none_or(|loaded| loaded.record.version < version)
            || cached(before[1].0).is_some()
        {
            looks.tick().await;
        }
    };
    timeout(BOUND, comes).await.expect("it is told");
    assert_eq!(two.stats().misses, misses, "no call was needed");
    assert_eq!(two.read(before[1].0, &Wanted::default(), START).await.expect("it answers"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_serves_correctly_while_it_catches_up() {
    const SESSIONS: usize = 20_000;
    let server = Nats::start().await;
    let one = store(&server).await;
    let sessions: Arc<[_]> = fill(&one, SESSIONS).await.into();
    let two = store(&server).await;
    let (near, _driver) = near::driven(two, NearOptions::default());
    // From its first request on, while the other one goes on writing.
    let mut behind = 0;
    for (key, record) in sessions.iter().step_by(40) {
        let version = commit(&one, *key, record, "1").await;
        assert_eq!(shown(&near, *key, version).await, version);
        behind += u64::from(near.stats().records < SESSIONS as u64);
    }
    assert!(behind > 0, "it had caught up before it was asked");
    has(&near, SESSIONS as u64).await;
    near::trust(&near).await;
    let misses = near.stats().misses;
    for (at, (key, record)) in sessions.iter().enumerate() {
        let loaded = near.read(*key, &Wanted::default(), START).await.expect("it answers");
        let loaded = loaded.expect("it is there");
        assert_eq!(loaded.record.version, record.version + u64::from(at % 40 == 0));
    }
    let read = near.stats().misses - misses;
    assert!(read < SESSIONS as u64 / 100, "{read} of {SESSIONS} were read from the bucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_and_what_has_no_room_is_read_through() {
    const SESSIONS: usize = 4_000;
    const BYTES: u64 = 1024 * 1024;
    let server = Nats::start().await;
    let one = store(&server).await;
    let sessions = fill(&one, SESSIONS).await;
    let two = Arc::new(store(&server).await);
    let near =
        near::near(Arc::clone(&two), NearOptions { bytes: BYTES, ..NearOptions::default() }).await;
    let mut looks = interval(Duration::from_millis(10));
    let knows_all = async {
        while two.register().known() < SESSIONS {
            looks.tick().await;
        }
    };
    timeout(BOUND, knows_all).await.expect("it knows every key");
    let stats = near.stats();
    assert!(stats.records > 100 && stats.records < SESSIONS as u64, "{stats:?}");
    assert!(stats.bytes <= BYTES, "{stats:?}");
    for (key, record) in sessions.iter().step_by(7) {
        let version = commit(&one, *key, record, "1").await;
        assert_eq!(shown(&near, *key, version).await, version);
        assert!(near.stats().bytes <= BYTES);
    }
}
