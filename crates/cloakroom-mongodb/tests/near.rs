//! Near caches over a real server: two nodes, each with a change stream of its own, keep every law
//! and every promise.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use cloakroom_core::Store;
use cloakroom_core::store::{NearOptions, Result};
use cloakroom_testkit::samples::key;
use cloakroom_testkit::stores::{Call, InTurn, Intercept, Wrapped};
use cloakroom_testkit::{Fixture, near, session_promises, store_laws};
use support::Own;

/// Has a node catch up with what it is told, before every call.
#[derive(Debug)]
struct CatchUp(Arc<dyn Store>);

#[async_trait]
impl Intercept for CatchUp {
    type Around = ();

    /// A heartbeat is answered after everything that there was to tell. A source that does not come
    /// to answer, because the machine is busy, has taken with it what it did not tell of.
    async fn before(&self, _call: Call) -> Result<()> {
        let feed = self.0.feed().expect("the store has a feed");
        while let Some(source) = feed.source(key()) {
            let answer = feed.beat(source).await;
            if answer.is_ok() || feed.source(key()) == Some(source) {
                return answer;
            }
        }
        Ok(())
    }
}

/// What a node has that catches up.
async fn caught_up(database: &Own) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(database.store().await);
    let near = near::near(Arc::clone(&store), NearOptions::default()).await;
    Arc::new(Wrapped::around(near, CatchUp(store)))
}

/// Two nodes on one database.
async fn two(database: &Own) -> Vec<Arc<dyn Store>> {
    let mut nodes = Vec::new();
    for _ in 0..2 {
        nodes.push(caught_up(database).await);
    }
    nodes
}

/// Nodes that read in turn what the other one writes.
async fn in_turn() -> Fixture {
    let database = Own::new().await;
    Fixture::new(InTurn::new(two(&database).await)).holding(database)
}

async fn two_nodes() -> Fixture {
    let database = Own::new().await;
    Fixture::of_nodes(two(&database).await).holding(database)
}

store_laws!(in_turn);
session_promises!(two_nodes);
