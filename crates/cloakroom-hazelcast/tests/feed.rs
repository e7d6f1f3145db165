//! What the cluster tells of changes: every foreign one, none of our own, and nothing of which it
//! cannot be proven that it is all.

#![allow(clippy::print_stdout, reason = "what was counted is printed")]
#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::{Announce, Feed, FeedSource, Keep, Notice, Notices};
use cloakroom_core::{Ended, Guard, Key, Outcome, Store};
use cloakroom_hazelcast::{HazelcastStore, Options};
use cloakroom_testkit::samples::{Doing, START, administer, key, session, visit};
use cloakroom_testkit::servers::Hazelcast;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// What nothing takes that comes at all.
const BOUND: Duration = Duration::from_secs(30);

/// Time enough for a machine that has a lot else to do.
fn patient() -> Options {
    let call_timeout = Duration::from_secs(10);
    Options { connect_timeout: Duration::from_secs(20), call_timeout }
}

#[derive(Debug)]
struct Mouth(UnboundedSender<Notice>);

impl Notices for Mouth {
    fn hear(&self, notice: Notice) {
        let _ = self.0.send(notice);
    }
}

/// Listens to one store.
struct Ear(UnboundedReceiver<Notice>);

impl Ear {
    fn on(store: &HazelcastStore) -> Self {
        let (mouth, heard) = unbounded_channel();
        feed(store).follow(Arc::new(Mouth(mouth)));
        Self(heard)
    }

    async fn next(&mut self) -> Notice {
        timeout(BOUND, self.0.recv()).await.expect("a notice comes").expect("it is open")
    }

    async fn until(&mut self, notice: Notice) {
        while self.next().await != notice {}
    }

    fn all(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }

    /// Makes sure that nothing has been told of `key`, also nothing that is on its way.
    async fn quiet(&mut self, store: &HazelcastStore, key: Key) {
        let source = source(store).await;
        feed(store).beat(source).await.expect("it answers");
        assert!(!self.all().contains(&Notice::Changed(key)), "told of what it did itself");
    }
}

fn feed(store: &HazelcastStore) -> &dyn Feed {
    store.feed().expect("there is a feed")
}

/// The source that calls go to, once there is one.
async fn source(store: &HazelcastStore) -> FeedSource {
    let come = async {
        loop {
            let _ = store.load(key(), START).await;
            if let Some(source) = feed(store).source(key()) {
                return source;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, come).await.expect("a source comes up")
}

async fn connect(url: &str) -> HazelcastStore {
    HazelcastStore::connect(url, patient()).await.expect("it can be used")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn every_foreign_change_is_told_and_no_own_one() {
    let cluster = Hazelcast::shared().await;
    let url = cluster.url(&cluster.new_map());
    let (store, other) = (connect(&url).await, connect(&url).await);
    let mut ear = Ear::on(&store);
    let up = source(&store).await;
    assert_eq!(ear.all(), [Notice::Up(up)]);

    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.expect("it is created");
    ear.quiet(&store, key).await;
    for round in 0..20 {
        let foreign = other.commit(key, &administer().set("a", "1"), START).await;
        assert!(matches!(foreign, Ok(Outcome::Done { .. })), "{round}: {foreign:?}");
        ear.until(Notice::Changed(key)).await;
        let own = store.commit(key, &visit(&record).set("own", "1"), START).await;
        assert!(matches!(own, Ok(Outcome::Done { .. })), "{round}: {own:?}");
        ear.quiet(&store, key).await;
    }
    let announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };
    assert!(other.end(key, &Guard::None, announce, START).await.expect("it answers").is_some());
    ear.until(Notice::Changed(key)).await;
}

/// The change is made, and then the beat is asked for: what the beat is answered after is there
/// without waiting.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_beat_is_answered_after_what_there_was_to_tell() {
    let cluster = Hazelcast::shared().await;
    let url = cluster.url(&cluster.new_map());
    let (store, other) = (connect(&url).await, connect(&url).await);
    let mut ear = Ear::on(&store);
    let up = source(&store).await;
    for round in 0..100 {
        let key = key();
        let _ = other.create(key, &session(START), None, START).await.expect("it is created");
        feed(&store).beat(up).await.expect("it answers");
        assert!(ear.all().contains(&Notice::Changed(key)), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn what_is_given_up_is_told_like_anybody_elses() {
    let cluster = Hazelcast::shared().await;
    let store = connect(&cluster.url(&cluster.new_map())).await;
    let mut ear = Ear::on(&store);
    let up = source(&store).await;
    let mut told = 0;
    for round in 0..50_u64 {
        let (key, record) = (key(), session(START));
        let creating = store.create(key, &record, None, START);
        let given_up = timeout(Duration::from_micros(round * 30), creating).await.is_err();
        // A call whose answer did not come may be on its way: it is told when it is done.
        while given_up && store.load(key, START).await.expect("it answers").is_none() {
            if feed(&store).beat(up).await.is_ok() {
                break;
            }
        }
        feed(&store).beat(up).await.expect("it answers");
        let is_there = store.load(key, START).await.expect("it answers").is_some();
        let heard = ear.all().contains(&Notice::Changed(key));
        told += usize::from(heard);
        assert!(given_up || !heard, "round {round}: an own change is not told");
        let _ = is_there;
    }
    println!("{told} of 50 were given up and done");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_source_that_is_reset_goes_down_and_another_comes_up() {
    let cluster = Hazelcast::shared().await;
    let store = connect(&cluster.url(&cluster.new_map())).await;
    let mut ear = Ear::on(&store);
    let first = source(&store).await;
    feed(&store).reset(first);
    assert_eq!(ear.all(), [Notice::Up(first), Notice::Down(first)]);
    assert_eq!(feed(&store).source(key()), None);
    assert!(feed(&store).beat(first).await.is_err(), "it is there no more");
    let second = source(&store).await;
    assert_ne!(first, second);
    feed(&store).reset(first);
    assert_eq!(ear.all(), [Notice::Up(second)]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn while_a_member_is_silent_or_gone_nothing_is_vouched_for() {
    let mut cluster = Hazelcast::start(2).await;
    let url = cluster.url("map");
    let store = connect(&url).await;
    let mut ear = Ear::on(&store);
    let up = source(&store).await;
    cluster.pause(1);
    assert!(feed(&store).beat(up).await.is_err(), "one member does not say what it counted");
    ear.until(Notice::Down(up)).await;
    cluster.resume(1);
    let up = source(&store).await;
    feed(&store).beat(up).await.expect("it answers");

    cluster.kill(1);
    ear.until(Notice::Down(up)).await;
    let up = source(&store).await;
    feed(&store).beat(up).await.expect("the one that is left answers for all");
    let cluster = cluster.restart(1).await;
    ear.until(Notice::Down(up)).await;
    let up = source(&store).await;
    feed(&store).beat(up).await.expect("both answer");
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn members_that_collect_changes_are_used_without() {
    let batching = [("hazelcast.map.invalidation.batch.enabled", "true")];
    let cluster = Hazelcast::start_with(1, &batching).await;
    let store = connect(&cluster.url("map")).await;
    let mut ear = Ear::on(&store);
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.expect("it is created");
    assert_eq!(store.load(key, START).await.expect("it answers"), Some(record));
    assert_eq!((feed(&store).source(key), ear.all()), (None, vec![]));
}
