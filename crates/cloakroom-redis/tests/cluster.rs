//! A cluster: a dead master is replaced, and a bucket is followed wherever it moves.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod ear;
mod load;

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::{Created, Error, Feed, Keep, Notice};
use cloakroom_core::{Guard, Key, Kind, Outcome, Store};
use cloakroom_redis::{ConnectError, Options, RedisStore};
use cloakroom_testkit::samples::{Doing, START, administer, key, session, visit};
use cloakroom_testkit::servers::{Cluster, Redis};
use tokio::sync::OnceCell;

use ear::Ear;
use load::{Load, print};

/// A cluster that nobody kills a node of. Slots are moved by one test at a time.
static SHARED: OnceCell<Cluster> = OnceCell::const_new();
static MOVING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn shared() -> &'static Cluster {
    SHARED.get_or_init(Cluster::start).await
}

async fn connect(cluster: &Cluster) -> RedisStore {
    let options = Options {
        connect_timeout: Duration::from_secs(1),
        response_timeout: Duration::from_secs(1),
        ..Options::default()
    };
    RedisStore::connect(&cluster.url(), options).await.expect("the cluster can be used")
}

fn name(key: Key) -> String {
    format!("cloakroom:{{{:02x}}}:{key}", key.as_bytes()[0])
}

/// A key in a bucket.
fn key_in(bucket: u8) -> Key {
    std::iter::repeat_with(key).find(|key| key.as_bytes()[0] == bucket).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_master_costs_nobody_a_session() {
    let mut cluster = Cluster::start().await;
    let store = Arc::new(connect(&cluster).await);
    let mut load = Load::prepare(Arc::clone(&store), 12).await;
    for node in cluster.nodes() {
        if node.command(&["ROLE"]).starts_with("master") {
            node.replicated();
        }
    }
    load.start();
    load.is_well().await;
    let slot = cluster.slot_of(&name(load.keys()[0]));
    let dead = cluster.kill_master_of(slot);
    cluster.replaced(slot, dead).await;
    load.is_well().await;
    cluster.restart().await;
    cluster.failover(slot).await;
    load.is_well().await;
    print("a master's death and a failover", &load.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_under_load_loses_nothing() {
    let (cluster, _moving) = (shared().await, MOVING.lock().await);
    let store = Arc::new(connect(cluster).await);
    let mut load = Load::prepare(Arc::clone(&store), 8).await;
    load.start();
    load.is_well().await;
    let keys = load.keys().to_vec();
    for key in keys {
        let going = cluster.begin_move(cluster.slot_of(&name(key)));
        cluster.move_name(going, &name(key));
        cluster.finish_move(going).await;
    }
    load.is_well().await;
    let users = load.stop().await;
    print("eight slots moved", &users);
    for user in users {
        assert_eq!(user.version, user.acknowledged + 1, "nothing but what was acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_half_way_is_found_and_what_is_read_there_is_not_cached() {
    let (cluster, _moving) = (shared().await, MOVING.lock().await);
    let (store, other) = (connect(cluster).await, connect(cluster).await);
    let mut ear = Ear::on(&store);
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.unwrap();
    let source = store.source(key).expect("it is tracked");
    let slot = cluster.slot_of(&name(key));
    let going = cluster.begin_move(slot);

    // What is still there is served; the move of a record is told by the server that loses it.
    assert_eq!(store.load(key, START).await.unwrap(), Some(record.clone()));
    ear.all();
    cluster.move_name(going, &name(key));
    ear.changed(key).await;

    // It is found where it went. The source of its bucket is another one, so it is told to be
    // changed.
    assert_eq!(store.load(key, START).await.unwrap(), Some(record.clone()));
    assert_eq!(store.source(key), Some(source));
    assert!(ear.all().contains(&Notice::Changed(key)));

    // A script needs names that are still on the other side: it is refused, and nothing is written.
    let error = store.commit(key, &visit(&record).set("a", "1"), START).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    cluster.finish_move(going).await;
    let done = store.commit(key, &visit(&record).set("a", "1"), START).await.unwrap();
    assert_eq!(done, Outcome::Done { version: 2 });
    assert!(ear.all().contains(&Notice::Changed(key)), "it went elsewhere");

    // From now on the new master tells.
    let moved = store.source(key).expect("it is tracked");
    assert_ne!(moved, source);
    store.load(key, START).await.unwrap();
    ear.quiet(&store, key).await;
    let _ = other.commit(key, &administer().set("b", "1"), START).await.unwrap();
    ear.changed(key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_bucket_is_waited_for() {
    let (cluster, _moving) = (shared().await, MOVING.lock().await);
    let store = Arc::new(connect(cluster).await);
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.unwrap();
    let going = cluster.begin_move(cluster.slot_of(&name(key)));
    cluster.move_name(going, &name(key));
    let committing = {
        let (store, record) = (Arc::clone(&store), record.clone());
        tokio::spawn(async move { store.commit(key, &visit(&record).set("a", "1"), START).await })
    };
    cluster.finish_move(going).await;
    assert_eq!(committing.await.unwrap().unwrap(), Outcome::Done { version: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_leaves_a_split_bucket_for_later() {
    let (cluster, _moving) = (shared().await, MOVING.lock().await);
    let options = Options { prefix: "swept:".to_owned(), ..Options::default() };
    let store = RedisStore::connect(&cluster.url(), options).await.unwrap();
    let (record, split) = (session(START), 7);
    let halves: Vec<Key> = (0..8).map(|_| key_in(split)).collect();
    for key in halves.iter().copied().chain((0..=u8::MAX).map(key_in_any)) {
        let _ = store.create(key, &record, None, START).await.unwrap();
    }
    let going = cluster.begin_move(cluster.slot_of("{07}"));
    for key in &halves {
        cluster.move_name(going, &format!("swept:{{07}}:{key}"));
    }
    let over = record.deadline().unwrap();
    let mut swept = store.expire(1000, Keep::Nothing, over).await.unwrap().len();
    assert!((200..256 + 8).contains(&swept), "{swept}");
    cluster.finish_move(going).await;
    while swept < 256 + 8 {
        let more = store.expire(1000, Keep::Nothing, over).await.unwrap().len();
        assert!(more > 0, "{swept}");
        swept += more;
    }
    assert_eq!(store.expire(1000, Keep::Nothing, over).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_comes_back_has_another_source() {
    let (cluster, _moving) = (shared().await, MOVING.lock().await);
    let store = connect(cluster).await;
    let mut ear = Ear::on(&store);
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.unwrap();
    let first = store.source(key).expect("it is tracked");
    let slot = cluster.slot_of(&name(key));
    let home = cluster.master_of(slot).addr();
    cluster.finish_move(cluster.begin_move(slot)).await;
    assert!(store.load(key, START).await.unwrap().is_some());
    assert_eq!(ear.all().iter().find(|notice| **notice == Notice::Down(first)), None);
    cluster.finish_move(cluster.begin_move_to(slot, home)).await;
    assert!(store.load(key, START).await.unwrap().is_some());
    assert_ne!(store.source(key), Some(first));
    assert!(ear.all().contains(&Notice::Down(first)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_of_every_master_is_heard() {
    let cluster = shared().await;
    let (store, other) = (connect(cluster).await, connect(cluster).await);
    let mut ear = Ear::on(&store);
    let mut sources = Vec::new();
    for _ in 0..12 {
        ear::hears_foreign_changes_only(&store, &mut ear, &other).await;
    }
    for bucket in 0..=u8::MAX {
        store.load(key_in_any(bucket), START).await.unwrap();
        sources.push(store.source(key_in_any(bucket)).expect("it is tracked"));
    }
    sources.sort_unstable_by_key(|source| format!("{source:?}"));
    sources.dedup();
    assert_eq!(sources.len(), 3, "one for each master");
    for source in sources {
        store.beat(source).await.unwrap();
    }
}

/// A key in a bucket, always the same.
fn key_in_any(bucket: u8) -> Key {
    let mut bytes = [7; 18];
    bytes[0] = bucket;
    Key::from_bytes(Kind::Session, &bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_demoted_is_no_source_any_more() {
    let cluster = Cluster::start().await;
    let store = connect(&cluster).await;
    let mut ear = Ear::on(&store);
    let (key, record) = (key_in(7), session(START));
    let _ = store.create(key, &record, None, START).await.unwrap();
    let slot = cluster.slot_of(&name(key));
    cluster.master_of(slot).replicated();
    let source = store.source(key).expect("it is tracked");
    cluster.failover(slot).await;
    assert!(store.beat(source).await.is_err(), "the server lives, but is no master");
    while ear.next().await != Notice::Down(source) {}
    ear::comes_back(&store).await;
    assert_eq!(store.load(key, START).await.unwrap(), Some(record));
    assert_ne!(store.source(key), Some(source));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_master_hides_nothing_of_the_others() {
    let mut cluster = Cluster::start().await;
    let store = connect(&cluster).await;
    let record = session(START);
    let keys: Vec<Key> = (0..=u8::MAX).map(key_in_any).collect();
    for key in &keys {
        let created = store.create(*key, &record, None, START).await.unwrap();
        assert_eq!(created, Created::Done { replaced: None });
    }
    let directory = store.directory().unwrap();
    assert_eq!(directory.count(Kind::Session, START).await.unwrap(), 256);
    cluster.kill_master_of(cluster.slot_of(&name(keys[0])));
    let over = record.deadline().unwrap();
    let swept = store.expire(1000, Keep::Nothing, over).await.unwrap();
    assert!((100..256).contains(&swept.len()), "{}", swept.len());
    assert!(directory.count(Kind::Session, START).await.is_err(), "it would not be the count");
    let error = store.end(keys[0], &Guard::None, ear::NOBODY, START).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable(_) | Error::Unanswered(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_of_another_form_is_refused_with_what_to_use() {
    let cluster = shared().await;
    let node = format!("redis://{}", cluster.nodes()[0].addr());
    let error = RedisStore::connect(&node, Options::default()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Cluster { .. }), "{error:?}");
    assert!(error.to_string().contains("redis+cluster://"), "{error}");

    let alone = Redis::start().await;
    let url = format!("redis+cluster://:hunter2@{}", alone.addr());
    let error = RedisStore::connect(&url, Options::default()).await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let url = format!("redis+cluster://{}", alone.addr());
    let error = RedisStore::connect(&url, Options::default()).await.unwrap_err();
    let said = format!("{:?}", std::error::Error::source(&error).unwrap());
    assert!(said.contains("NoCluster"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_that_answers_is_enough() {
    let cluster = shared().await;
    let dead = "127.0.0.1:1";
    let url = format!("redis+cluster://{dead},{}", cluster.nodes()[3].addr());
    let store = RedisStore::connect(&url, Options::default()).await.unwrap();
    assert_eq!(store.load(key(), START).await.unwrap(), None);
    let shown = format!("{store:?}");
    assert!(shown.contains(dead) && shown.contains("Cluster"), "{shown}");
}
