//! What was acknowledged is there after the server was killed in the midst of it, and nothing is
//! there by half.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::store::Error;
use cloakroom_core::{Key, Outcome, Store};
use cloakroom_mongodb::{MongoStore, Options};
use cloakroom_testkit::samples::{Doing, START, administer, key, session};
use cloakroom_testkit::servers::Mongo;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// What no step takes, even on a busy machine.
const BOUND: Duration = Duration::from_secs(120);
const USERS: usize = 8;
/// How many writes are acknowledged before each kill.
const WRITES: u64 = 200;
const KILLS: usize = 3;

/// What came of one user's writes. Each sets two attributes to the same number.
#[derive(Default)]
struct Written {
    acknowledged: u64,
    unknown: u64,
    version: u64,
}

async fn work(
    store: Arc<MongoStore>,
    key: Key,
    acknowledged: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
) -> Written {
    let mut written = Written { version: 1, ..Written::default() };
    let mut turns = interval(Duration::from_millis(2));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stopped.load(Ordering::SeqCst) {
        turns.tick().await;
        let number = (written.acknowledged + written.unknown).to_string();
        let commit = administer().set("one", number.clone()).set("two", number);
        match store.commit(key, &commit, START).await {
            Ok(Outcome::Done { version }) => {
                assert!(version > written.version, "a version comes back");
                written.version = version;
                written.acknowledged += 1;
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Ok(other) => panic!("{other:?}"),
            Err(error @ Error::Unreadable { .. }) => panic!("{error:?}"),
            Err(error) => written.unknown += u64::from(error.is_ambiguous()),
        }
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_that_it_has_acknowledged() {
    let mut server = Mongo::start().await;
    let store = MongoStore::connect(&server.url(), Options::default()).await;
    let store = Arc::new(store.expect("it can be used"));
    let (acknowledged, stopped) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
    let mut users = JoinSet::new();
    for _ in 0..USERS {
        let key = key();
        let _ = store.create(key, &session(START), None, START).await.expect("it is created");
        let working =
            work(Arc::clone(&store), key, Arc::clone(&acknowledged), Arc::clone(&stopped));
        users.spawn(async move { (key, working.await) });
    }
    for _ in 0..KILLS {
        let enough = acknowledged.load(Ordering::SeqCst) + WRITES;
        let mut looks = interval(Duration::from_millis(1));
        let busy = async {
            while acknowledged.load(Ordering::SeqCst) < enough {
                looks.tick().await;
            }
        };
        timeout(BOUND, busy).await.expect("everybody writes");
        server.kill();
        server = server.restart().await;
    }
    stopped.store(true, Ordering::SeqCst);
    let users = timeout(BOUND, users.join_all()).await.expect("they end");
    let url = server.url();
    let fresh = MongoStore::connect(&url, Options::default()).await.expect("it can be used");
    let (mut all, mut unknown) = (0, 0);
    for (key, written) in users {
        let record = fresh.load(key, START).await.expect("it answers").expect("nobody ended it");
        assert!(record.version >= written.version, "an acknowledged write is lost");
        assert!(record.version <= 1 + written.acknowledged + written.unknown, "written twice");
        let value = |name: &str| record.fields.get(name).map(|field| field.bytes.clone());
        assert_eq!(value("one"), value("two"), "written by half");
        all += written.acknowledged;
        unknown += written.unknown;
    }
    println!("{KILLS} kills: {all} writes acknowledged, {unknown} unknown");
}
