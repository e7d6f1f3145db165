//! Near caches over a real server: two nodes, each with a change stream of its own, keep every law
//! and every promise.

mod support;

use cloakroom_testkit::stores::InTurn;
use cloakroom_testkit::{Fixture, near, session_promises, store_laws};
use support::Own;

/// Nodes that read in turn what the other one writes.
async fn in_turn() -> Fixture {
    let database = Own::new().await;
    Fixture::new(InTurn::new(near::two(async || database.store().await).await)).holding(database)
}

async fn two_nodes() -> Fixture {
    let database = Own::new().await;
    Fixture::of_nodes(near::two(async || database.store().await).await).holding(database)
}

store_laws!(in_turn);
session_promises!(two_nodes);
