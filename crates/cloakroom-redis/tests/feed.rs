//! What the store tells of changes: every foreign one, none of its own, and nothing of a server
//! that it has lost.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod ear;

use cloakroom_core::store::{Announce, Feed, Keep, Notice, Notices};
use cloakroom_core::{Ended, Guard, Key, Outcome, Store};
use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::samples::{Doing, START, administer, key, session, session_of, visit};
use cloakroom_testkit::servers::Redis;
use std::sync::Arc;

use ear::Ear;

async fn connect(server: &Redis) -> RedisStore {
    RedisStore::connect(&server.url(), Options::default()).await.expect("it can be used")
}

/// A server, a store that is listened to, and another store on the same server.
async fn start() -> (Redis, RedisStore, Ear, RedisStore) {
    let server = Redis::start().await;
    let (store, other) = (connect(&server).await, connect(&server).await);
    let ear = Ear::on(&store);
    (server, store, ear, other)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_foreign_change_is_told_and_no_own_one() {
    let (_server, store, mut ear, other) = start().await;
    ear::hears_foreign_changes_only(&store, &mut ear, &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_sweeps_are_heard_like_all_else() {
    let (_server, store, mut ear, other) = start().await;
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.unwrap();
    let login = visit(&record).signing_in("alice", Some(2));
    assert!(matches!(store.commit(key, &login, START).await.unwrap(), Outcome::Done { .. }));
    ear.quiet(&store, key).await;
    let over = record.deadline().unwrap();
    assert_eq!(other.expire(10, Keep::Nothing, over).await.unwrap().len(), 1);
    ear.changed(key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_up_before_the_first_read_and_down_before_the_next() {
    let (server, store, mut ear, _other) = start().await;
    let key = key();
    assert_eq!(store.feed().unwrap().source(key), None, "nothing is tracked yet");
    store.load(key, START).await.unwrap();
    let first = store.feed().unwrap().source(key).expect("it is tracked");
    assert_eq!(ear.all(), [Notice::Up(first)]);

    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert_eq!(ear.next().await, Notice::Down(first));
    assert_eq!(store.feed().unwrap().source(key), None);
    assert!(store.beat(first).await.is_err(), "it is there no more");
    store.load(key, START).await.unwrap();
    let second = store.feed().unwrap().source(key).expect("it is tracked");
    assert_ne!(first, second);
    assert_eq!(ear.all(), [Notice::Up(second)]);

    store.reset(first);
    assert_eq!(ear.all(), [], "that one is gone already");
    store.reset(second);
    assert_eq!(ear.all(), [Notice::Down(second)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_listener_takes_the_place_of_another() {
    let (_server, store, mut first, other) = start().await;
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.unwrap();
    let source = store.source(key).unwrap();
    assert_eq!(first.all(), [Notice::Up(source)]);
    let mut second = Ear::on(&store);
    assert_eq!(first.all(), [Notice::Down(source)]);
    store.load(key, START).await.unwrap();
    assert_eq!(second.all(), [Notice::Up(store.source(key).unwrap())]);
    let _ = other.commit(key, &administer().set("a", "1"), START).await.unwrap();
    second.changed(key).await;
    assert_eq!(first.all(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_server_is_told() {
    let (server, store, mut ear, _other) = start().await;
    let (key, record) = (key(), session(START));
    for empty in ["FLUSHALL", "FLUSHDB"] {
        let _ = store.create(key, &record, None, START).await.unwrap();
        let source = store.source(key).unwrap();
        ear.all();
        server.command(&[empty]);
        assert_eq!(ear.next().await, Notice::Flushed(source), "{empty}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_no_master_any_more_answers_no_beat() {
    let (server, store, mut ear, _other) = start().await;
    store.load(key(), START).await.unwrap();
    let source = store.source(key()).unwrap();
    store.beat(source).await.unwrap();
    let master = Redis::start().await;
    server.command(&["REPLICAOF", "127.0.0.1", &master.addr().port().to_string()]);
    assert!(store.beat(source).await.is_err());
    assert!(ear.all().contains(&Notice::Down(source)));
    assert_eq!(store.source(key()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_track_is_used_without() {
    let server = Redis::start().await;
    server.command(&["ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all", "-client|tracking"]);
    let url = format!("redis://app:any@{}", server.addr());
    let store = RedisStore::connect(&url, Options::default()).await.unwrap();
    let mut ear = Ear::on(&store);
    assert_eq!(store.load(key(), START).await.unwrap(), None);
    assert_eq!((store.source(key()), ear.all()), (None, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_a_listener_tracks_nothing() {
    let server = Redis::start().await;
    let store = connect(&server).await;
    store.load(key(), START).await.unwrap();
    assert!(server.command(&["INFO", "clients"]).contains("tracking_clients:0"));
    assert_eq!(store.source(key()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_is_told_to_those_who_read_it() {
    let (_server, store, mut ear, other) = start().await;
    let announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };
    let (key, record): (Key, _) = (key(), session_of("alice", START));
    let _ = other.create(key, &record, None, START).await.unwrap();
    assert_eq!(store.directory().unwrap().of_principal("alice", START).await.unwrap().len(), 1);
    assert!(other.end(key, &Guard::None, announce, START).await.unwrap().is_some());
    ear.changed(key).await;
    let _: Arc<dyn Notices> = ear.notices();
}
