//! The master that sentinels name: found, followed to its successor, and never taken for another.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod ear;
mod load;

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::Store;
use cloakroom_core::store::{Feed, Notice};
use cloakroom_redis::{ConnectError, Options, RedisStore};
use cloakroom_testkit::samples::{START, key};
use cloakroom_testkit::servers::Sentinel;

use ear::Ear;
use load::{Load, print};

async fn connect(url: &str) -> Result<RedisStore, ConnectError> {
    let options = Options {
        connect_timeout: Duration::from_secs(1),
        response_timeout: Duration::from_secs(1),
        ..Options::default()
    };
    RedisStore::connect(url, options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_costs_nobody_a_session() {
    let servers = Sentinel::start().await;
    let store = Arc::new(connect(&servers.url()).await.unwrap());
    let mut load = Load::prepare(Arc::clone(&store), 8).await;
    servers.master().replicated();
    load.start();
    load.is_well().await;
    servers.failover().await;
    load.is_well().await;
    // The old master goes on as if nothing had happened, for seconds. Nobody writes to it.
    let users = load.stop().await;
    let direct = connect(&servers.master().url()).await.unwrap();
    for user in &users {
        let record = direct.load(user.key, START).await.unwrap().expect("it is there");
        assert!(record.version >= user.version, "written to the old master");
    }
    print("a failover", &users);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_master_costs_nobody_a_session() {
    let mut servers = Sentinel::start().await;
    let store = Arc::new(connect(&servers.url()).await.unwrap());
    let mut load = Load::prepare(Arc::clone(&store), 8).await;
    servers.master().replicated();
    load.start();
    load.is_well().await;
    let dead = servers.kill_master();
    servers.replaced(dead).await;
    load.is_well().await;
    servers.restart(dead).await;
    load.is_well().await;
    print("a master's death", &load.stop().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_follows_the_master() {
    let servers = Sentinel::start().await;
    let (store, other) = (connect(&servers.url()).await.unwrap(), connect(&servers.url()).await);
    let (mut ear, other) = (Ear::on(&store), other.unwrap());
    ear::hears_foreign_changes_only(&store, &mut ear, &other).await;
    let source = store.source(key()).expect("it is tracked");
    servers.failover().await;
    // The sentinels close the connections to the old master; a beat would find it out, too.
    let beaten = store.beat(source).await;
    if beaten.is_err() || store.source(key()) != Some(source) {
        while ear.next().await != Notice::Down(source) {}
    }
    ear::comes_back(&store).await;
    ear::hears_foreign_changes_only(&store, &mut ear, &other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_hang_or_are_gone_are_passed_over() {
    let mut servers = Sentinel::start().await;
    servers.sentinels()[0].kill();
    servers.sentinels()[1].pause();
    let store = connect(&servers.url()).await.unwrap();
    assert_eq!(store.load(key(), START).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_wrong_is_said() {
    let servers = Sentinel::start().await;
    let said = |error: ConnectError| {
        let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
        chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    let url = servers.url().replace("mymaster", "other");
    let error = said(connect(&url).await.unwrap_err());
    assert!(error.contains("know no master by the name of other"), "{error}");

    let sentinel = servers.url().replace("redis+sentinel", "redis");
    let (sentinel, _) = sentinel.split_once(',').unwrap();
    let error = connect(sentinel).await.unwrap_err();
    assert!(matches!(error, ConnectError::Sentinel { .. }), "{error:?}");
    assert!(error.to_string().contains("redis+sentinel://"), "{error}");

    let server = servers.master().addr();
    let url = format!("redis+sentinel://{server}?master=mymaster");
    let error = said(connect(&url).await.unwrap_err());
    assert!(error.contains("is no sentinel"), "{error}");
}
