//! The laws and the promises, held against a real Valkey server of their own each; and over near
//! caches on it.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::servers::Redis;
use cloakroom_testkit::stores::InTurn;
use cloakroom_testkit::{Fixture, near, session_promises, store_laws};

async fn node(server: &Redis) -> RedisStore {
    let store = RedisStore::connect(&server.url(), Options::default()).await;
    store.expect("the server can be used")
}

async fn valkey() -> Fixture {
    let server = Redis::start_valkey().await;
    Fixture::new(node(&server).await).holding(server)
}

store_laws!(valkey);
session_promises!(valkey);

/// Two nodes that read in turn what the other one writes.
mod in_turn {
    use super::{Fixture, InTurn, Redis, near, node, store_laws};

    async fn in_turn() -> Fixture {
        let server = Redis::start_valkey().await;
        let nodes = near::two(async || node(&server).await).await;
        Fixture::new(InTurn::new(nodes)).holding(server)
    }

    store_laws!(in_turn);
}
