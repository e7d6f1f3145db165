//! Near caches over a real server: two nodes, each with a connection of its own, keep every law and
//! every promise.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use cloakroom_core::Store;
use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::servers::Redis;
use cloakroom_testkit::stores::InTurn;
use cloakroom_testkit::{Fixture, near, session_promises, store_laws};

/// Two nodes on one server.
async fn two(server: &Redis) -> Vec<Arc<dyn Store>> {
    near::two(async || {
        let store = RedisStore::connect(&server.url(), Options::default()).await;
        store.expect("the server can be used")
    })
    .await
}

/// Nodes that read in turn what the other one writes.
async fn in_turn() -> Fixture {
    let server = Redis::start().await;
    Fixture::new(InTurn::new(two(&server).await)).holding(server)
}

async fn two_nodes() -> Fixture {
    let server = Redis::start().await;
    Fixture::of_nodes(two(&server).await).holding(server)
}

store_laws!(in_turn);
session_promises!(two_nodes);
