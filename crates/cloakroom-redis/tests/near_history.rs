//! Many clients on three nodes with near caches over a real server, which is killed, stopped and
//! cut off meanwhile, are told nothing that they were not promised.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::net::SocketAddr;

use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::history::survive;
use cloakroom_testkit::servers::Redis;

async fn node(addr: SocketAddr) -> RedisStore {
    let store = RedisStore::connect(&format!("redis://{addr}"), Options::default()).await;
    store.expect("it can be used")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stopped_and_cut_off_server_breaks_no_promise() {
    survive(Redis::start_with(&["--appendfsync", "always"]).await, node).await;
}
