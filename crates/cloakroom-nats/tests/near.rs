//! Near caches over a real server: two nodes, each told of what the other one does, keep every law
//! and every promise.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cloakroom_core::Store;
use cloakroom_nats::{NatsStore, Options};
use cloakroom_testkit::servers::Nats;
use cloakroom_testkit::stores::InTurn;
use cloakroom_testkit::{Fixture, near, session_promises, store_laws};
use tokio::sync::OnceCell;

static SERVER: OnceCell<Nats> = OnceCell::const_new();
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Two nodes on one bucket.
async fn two() -> Vec<Arc<dyn Store>> {
    let url = SERVER.get_or_init(Nats::start).await.url();
    let bucket = format!("law{}", NEXT.fetch_add(1, Ordering::Relaxed));
    near::two(async || {
        let options = Options { bucket: bucket.clone(), ..Options::default() };
        NatsStore::connect(&url, options).await.expect("the server can be used")
    })
    .await
}

/// Nodes that read in turn what the other one writes.
async fn in_turn() -> Fixture {
    Fixture::new(InTurn::new(two().await))
}

async fn two_nodes() -> Fixture {
    Fixture::of_nodes(two().await)
}

store_laws!(in_turn);
session_promises!(two_nodes);
