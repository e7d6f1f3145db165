//! Many clients on three nodes with replicated sessions over a real server, which is killed, stopped
//! and cut off meanwhile, are told nothing that they were not promised.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::net::SocketAddr;

use cloakroom_nats::{NatsStore, Options};
use cloakroom_testkit::history::survive;
use cloakroom_testkit::servers::Nats;

async fn node(addr: SocketAddr) -> NatsStore {
    let store = NatsStore::connect(&format!("nats://{addr}"), Options::default()).await;
    store.expect("it can be used")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stopped_and_cut_off_server_breaks_no_promise() {
    survive(Nats::start().await, node).await;
}
