//! Many clients on three nodes with near caches over two real members, which are killed, stopped and
//! cut off meanwhile, are told nothing that they were not promised.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::net::SocketAddr;

use cloakroom_hazelcast::{HazelcastStore, Options};
use cloakroom_testkit::history::survive;
use cloakroom_testkit::servers::Hazelcast;

async fn node(addr: SocketAddr) -> HazelcastStore {
    let url = format!("hazelcast://{addr}/cloakroom?map=history");
    HazelcastStore::connect(&url, Options::default()).await.expect("it can be used")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn killed_stopped_and_cut_off_members_break_no_promise() {
    survive(Hazelcast::start(2).await, node).await;
}
