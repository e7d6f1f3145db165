//! Many clients on three nodes with near caches over a real server, which is killed, stopped and
//! cut off meanwhile, are told nothing that they were not promised.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::net::SocketAddr;

use cloakroom_mongodb::{MongoStore, Options};
use cloakroom_testkit::history::survive;
use cloakroom_testkit::servers::Mongo;

async fn node(addr: SocketAddr) -> MongoStore {
    // The server says where it is, which is not where the proxy is.
    let url = format!("mongodb://{addr}/history?directConnection=true");
    MongoStore::connect(&url, Options::default()).await.expect("it can be used")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stopped_and_cut_off_server_breaks_no_promise() {
    survive(Mongo::start().await, node).await;
}
