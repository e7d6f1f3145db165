//! Near caches over a real cluster of two members: two nodes, each with a connection of its own,
//! keep every law and every promise.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::Store;
use cloakroom_hazelcast::{HazelcastStore, Options};
use cloakroom_testkit::servers::Hazelcast;
use cloakroom_testkit::stores::InTurn;
use cloakroom_testkit::{Fixture, near, session_promises, store_laws};

/// Time enough for a machine that has a lot else to do.
fn patient() -> Options {
    let call_timeout = Duration::from_secs(10);
    Options { connect_timeout: Duration::from_secs(20), call_timeout }
}

/// Two nodes on one map.
async fn two() -> Vec<Arc<dyn Store>> {
    let cluster = Hazelcast::shared().await;
    let url = cluster.url(&cluster.new_map());
    near::two(async || HazelcastStore::connect(&url, patient()).await.expect("it can be used"))
        .await
}

/// Nodes that read in turn what the other one writes.
async fn in_turn() -> Fixture {
    Fixture::new(InTurn::new(two().await))
}

async fn two_nodes() -> Fixture {
    Fixture::of_nodes(two().await)
}

store_laws!(in_turn, marked: [#[ignore = "needs Hazelcast 5: scripts/test --all"]]);
session_promises!(two_nodes, marked: [#[ignore = "needs Hazelcast 5: scripts/test --all"]]);
