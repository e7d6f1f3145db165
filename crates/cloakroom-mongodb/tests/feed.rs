//! What the feed tells, over a real server: everything that others change, nothing that this node
//! has done itself, and that it is down before anything could be missed.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::{Announce, Built, Feed, FeedSource, Keep, Notice, Notices};
use cloakroom_core::{Ended, Guard, Key, Outcome, Store};
use cloakroom_mongodb::{MongoStore, Options};
use cloakroom_testkit::samples::{Doing, START, administer, key, session, visit};
use cloakroom_testkit::servers::Mongo;
use futures_util::FutureExt;
use mongodb::bson::Document;
use support::{Own, database};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{interval, timeout};

/// What no notice takes. It tells one that comes from one that does not.
const BOUND: Duration = Duration::from_secs(60);

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
    /// Listens from now on.
    fn on(store: &MongoStore) -> Self {
        let (mouth, heard) = mpsc::unbounded_channel();
        feed(store).follow(Arc::new(Mouth(mouth)));
        Self(heard)
    }

    async fn next(&mut self) -> Notice {
        timeout(BOUND, self.0.recv()).await.expect("a notice comes").expect("it is open")
    }

    /// Waits for a source.
    async fn up(&mut self) -> FeedSource {
        loop {
            if let Notice::Up(source) = self.next().await {
                return source;
            }
        }
    }

    async fn changed(&mut self, key: Key) {
        while self.next().await != Notice::Changed(key) {}
    }

    /// Makes sure that nothing has been told of `key`, also nothing that is on its way.
    async fn quiet(&mut self, store: &MongoStore, key: Key) {
        let source = feed(store).source(key).expect("there is a source");
        feed(store).beat(source).await.expect("it answers");
        let all: Vec<Notice> = std::iter::from_fn(|| self.0.try_recv().ok()).collect();
        assert!(!all.contains(&Notice::Changed(key)), "told of what it did itself: {all:?}");
    }
}

fn feed(store: &MongoStore) -> &dyn Feed {
    store.feed().expect("it has a feed")
}

async fn create(store: &MongoStore) -> Key {
    let key = key();
    let _ = store.create(key, &session(START), None, START).await.expect("it is created");
    key
}

async fn commit(store: &MongoStore, key: Key) {
    let outcome = store.commit(key, &administer().set("n", "1"), START).await;
    assert!(matches!(outcome, Ok(Outcome::Done { .. })), "{outcome:?}");
}

const NOBODY: Announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };

#[tokio::test(flavor = "multi_thread")]
async fn foreign_changes_are_told_and_own_ones_are_not() {
    let database = Own::new().await;
    let (store, other) = (database.store().await, database.store().await);
    let mut ear = Ear::on(&store);
    ear.up().await;

    let key = create(&store).await;
    ear.quiet(&store, key).await;
    commit(&other, key).await;
    ear.changed(key).await;
    commit(&store, key).await;
    ear.quiet(&store, key).await;

    let base = Arc::new(store.load(key, START).await.expect("it answers").expect("it lives"));
    let built = visit(&base).set("own", "2");
    let after = Arc::new(base.apply(&built, START).1.expect("it changes something"));
    let outcome =
        store.commit_built(key, &built, Built { base: &base, after: &after }, START).await;
    assert!(matches!(outcome, Ok(Outcome::Done { version }) if version == after.version));
    ear.quiet(&store, key).await;
    let _ = other.end(key, &Guard::None, NOBODY, START).await.expect("it answers");
    ear.changed(key).await;
    create(&other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_up_is_told_like_anybodys() {
    let database = Own::new().await;
    let store = database.store().await;
    let mut ear = Ear::on(&store);
    ear.up().await;
    let mut told = 0;
    for _ in 0..20 {
        let key = key();
        // It is sent, and nobody waits for the answer.
        let record = session(START);
        let mut creating = Box::pin(store.create(key, &record, None, START));
        assert!((&mut creating).now_or_never().is_none());
        let _ = timeout(Duration::from_millis(1), &mut creating).await;
        drop(creating);
        let is_there = store.load(key, START).await.expect("it answers").is_some();
        let source = feed(&store).source(key).expect("there is a source");
        feed(&store).beat(source).await.expect("it answers");
        let mut all = std::iter::from_fn(|| ear.0.try_recv().ok());
        told += usize::from(is_there && all.any(|notice| notice == Notice::Changed(key)));
    }
    // Whether one was in time is chance; what is never told is not.
    assert!(told > 0, "nothing that was given up was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_listener_has_a_new_source_and_the_old_one_hears_that_its_is_down() {
    let database = Own::new().await;
    let store = database.store().await;
    assert_eq!(feed(&store).source(key()), None);
    let mut old = Ear::on(&store);
    let first = old.up().await;
    assert_eq!(feed(&store).source(key()), Some(first));
    let mut new = Ear::on(&store);
    assert_eq!(old.next().await, Notice::Down(first));
    let second = new.up().await;
    assert_ne!(first, second);
    assert!(feed(&store).beat(first).await.is_err());
    feed(&store).reset(first);
    assert_eq!(feed(&store).source(key()), Some(second), "the old one is nobody's any more");
    feed(&store).reset(second);
    assert_eq!(new.next().await, Notice::Down(second));
    let third = new.up().await;
    feed(&store).beat(third).await.expect("it answers");
    drop(store);
    assert_eq!(new.next().await, Notice::Down(third));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_dropped_takes_the_source_with_it() {
    let own = Own::new().await;
    let store = own.store().await;
    let mut ear = Ear::on(&store);
    let first = ear.up().await;
    create(&store).await;
    let collection = database(own.url()).await.collection::<Document>("cloakroom");
    collection.drop().await.expect("it is dropped");
    while ear.next().await != Notice::Down(first) {}
    assert_ne!(ear.up().await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_loses_no_change() {
    let mut server = Mongo::start().await;
    let options = || Options { call_timeout: Duration::from_secs(1), ..Options::default() };
    let connect = async || MongoStore::connect(&server.url(), options()).await;
    let (store, other) = (connect().await.expect("it works"), connect().await.expect("it works"));
    let mut ear = Ear::on(&store);
    let first = ear.up().await;
    let key = create(&store).await;
    server.kill();
    let server = server.restart().await;
    let mut tries = interval(Duration::from_millis(10));
    let written = async {
        while other.commit(key, &administer().set("n", "1"), START).await.is_err() {
            tries.tick().await;
        }
    };
    timeout(BOUND, written).await.expect("it comes back");
    // Either the stream was resumed and tells of it, or its source is down.
    loop {
        match ear.next().await {
            Notice::Changed(changed) if changed == key => break,
            Notice::Down(source) if source == first => break,
            _ => {}
        }
    }
    drop(server);
}
