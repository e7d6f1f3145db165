//! What the store says when servers are killed or hang, and what is there afterwards: everything
//! that was acknowledged.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cloakroom_core::store::{Error, NearOptions};
use cloakroom_core::{Key, Outcome, Record, Store};
use cloakroom_nats::{NatsStore, Options};
use cloakroom_testkit::faults::{BOUND, loaded, lost, unanswered};
use cloakroom_testkit::samples::{Doing, START, key, session, visit};
use cloakroom_testkit::servers::{Nats, NatsCluster};
use cloakroom_testkit::{Mode, Proxy, near};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

/// What the store waits for an answer here.
const WAIT: Duration = Duration::from_millis(500);
const WRITERS: usize = 8;

fn options() -> Options {
    Options { call_timeout: WAIT, ..Options::default() }
}

async fn connect(url: &str) -> NatsStore {
    NatsStore::connect(url, options()).await.expect("the server can be used")
}

/// A writer that counts in a session of its own, and what was acknowledged of that.
struct Writer {
    store: Arc<NatsStore>,
    key: Key,
    record: Record,
    acknowledged: AtomicU64,
    failures: AtomicU64,
}

impl Writer {
    async fn new(store: Arc<NatsStore>) -> Arc<Self> {
        let (key, record) = (key(), session(START));
        let created = store.create(key, &record, None, START).await;
        drop(created.expect("it is created"));
        let (acknowledged, failures) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { store, key, record, acknowledged, failures })
    }

    /// Counts until it is stopped; every call is answered in time.
    async fn count(self: Arc<Self>, stopped: Arc<AtomicBool>) {
        let mut number = 0;
        while !stopped.load(Ordering::SeqCst) {
            number += 1;
            let commit = visit(&self.record).set("cart", number.to_string());
            let committed = self.store.commit(self.key, &commit, START);
            match timeout(BOUND, committed).await.expect("a call is answered") {
                Ok(Outcome::Done { .. }) => self.acknowledged.store(number, Ordering::SeqCst),
                Ok(other) => panic!("{other:?}"),
                Err(Error::Unreachable(_) | Error::Unanswered(_)) => {
                    self.failures.fetch_add(1, Ordering::SeqCst);
                    // A server that is away refuses at once.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// What is in the bucket is what was acknowledged, or something later.
    async fn check(&self, store: &NatsStore) {
        let record = store.load(self.key, START).await.expect("it answers").expect("it is there");
        let cart = record.fields.get("cart").expect("it was written");
        let found: u64 = std::str::from_utf8(&cart.bytes).unwrap().parse().unwrap();
        assert!(found >= self.acknowledged(), "{found} of {}", self.acknowledged());
    }
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let mut looks = interval(Duration::from_millis(5));
    let comes = async {
        while !holds() {
            looks.tick().await;
        }
    };
    timeout(BOUND, comes).await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Writers at work, and what stops them.
async fn at_work(store: &Arc<NatsStore>) -> (Vec<Arc<Writer>>, JoinSet<()>, Arc<AtomicBool>) {
    let (mut writers, mut tasks) = (Vec::new(), JoinSet::new());
    let stopped = Arc::new(AtomicBool::new(false));
    for _ in 0..WRITERS {
        let writer = Writer::new(Arc::clone(store)).await;
        tasks.spawn(Arc::clone(&writer).count(Arc::clone(&stopped)));
        writers.push(writer);
    }
    (writers, tasks, stopped)
}

/// Waits until every writer has been acknowledged more than it has been until now.
async fn go_on(writers: &[Arc<Writer>]) {
    let before: Vec<u64> = writers.iter().map(|writer| writer.acknowledged()).collect();
    let more = |(writer, before): (&Arc<Writer>, &u64)| writer.acknowledged() > before + 5;
    until("writes are acknowledged", || writers.iter().zip(&before).all(more)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_killed_server() {
    let mut server = Nats::start().await;
    let store = Arc::new(connect(&server.url()).await);
    let (writers, mut tasks, stopped) = at_work(&store).await;
    for _ in 0..3 {
        go_on(&writers).await;
        server.kill();
        until("writes fail", || {
            writers.iter().all(|writer| writer.failures.load(Ordering::SeqCst) > 0)
        })
        .await;
        server = server.restart().await;
    }
    go_on(&writers).await;
    server.kill();
    stopped.store(true, Ordering::SeqCst);
    while tasks.join_next().await.transpose().expect("no writer panics").is_some() {}
    let server = server.restart().await;
    let store = connect(&server.url()).await;
    for writer in &writers {
        writer.check(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_a_leader_loses_nothing_that_was_acknowledged() {
    let mut cluster = NatsCluster::start().await;
    let options = Options { replicas: 3, ..Options::default() };
    let store = NatsStore::connect(&cluster.url(), options).await.expect("it can be used");
    let store = Arc::new(store);
    let (writers, mut tasks, stopped) = at_work(&store).await;
    for _ in 0..2 {
        go_on(&writers).await;
        let leader = cluster.leader("KV_cloakroom");
        cluster.kill(leader);
        go_on(&writers).await;
        cluster = cluster.restart(leader).await;
        go_on(&writers).await;
    }
    stopped.store(true, Ordering::SeqCst);
    while tasks.join_next().await.transpose().expect("no writer panics").is_some() {}
    let failures: u64 = writers.iter().map(|it| it.failures.load(Ordering::SeqCst)).sum();
    assert!(failures > 0, "nobody noticed");
    for writer in &writers {
        writer.check(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_hangs_is_no_absence() {
    let mut server = Nats::start().await;
    let store = connect(&server.url()).await;
    let (key, record) = (key(), session(START));
    drop(store.create(key, &record, None, START).await.expect("it is created"));
    server.pause();
    let begun = Instant::now();
    let error = store.load(key, START).await.expect_err("it is paused");
    assert!(unanswered(&error), "{error:?}");
    let commit = visit(&record).set("cart", "1");
    let error = store.commit(key, &commit, START).await.expect_err("it is paused");
    assert!(lost(&error), "{error:?}");
    assert!(begun.elapsed() < BOUND, "the calls hang");
    server.resume();
    server.kill();
    let gone = async {
        loop {
            match store.load(key, START).await {
                Err(Error::Unreachable(_)) => break,
                Err(Error::Unanswered(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    timeout(BOUND, gone).await.expect("it is known to be away");
    let server = server.restart().await;
    assert!(loaded(&store, key, START).await.is_some(), "it is there");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_without_a_sign_is_replaced() {
    let server = Nats::start().await;
    let proxy = Proxy::to(server.addr()).await;
    let store = connect(&format!("nats://{}", proxy.addr())).await;
    let (key, record) = (key(), session(START));
    drop(store.create(key, &record, None, START).await.expect("it is created"));
    for mode in [Mode::Hold, Mode::Reset, Mode::DropAnswers] {
        let near =
            near::near(connect(&format!("nats://{}", proxy.addr())).await, NearOptions::default())
                .await;
        proxy.set(mode);
        let error = timeout(BOUND, store.load(key, START)).await.expect("it is told");
        assert!(error.is_err(), "{mode:?}: {error:?}");
        proxy.set(Mode::Pass);
        loaded(&store, key, START).await;
        timeout(BOUND, near::trust(&near)).await.expect("the feed comes back");
    }
}
