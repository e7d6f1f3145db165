//! The laws and the promises, held against buckets that three servers keep.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use cloakroom_nats::{NatsStore, Options};
use cloakroom_testkit::servers::NatsCluster;
use cloakroom_testkit::{Fixture, session_promises, store_laws};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;

static SERVERS: OnceCell<NatsCluster> = OnceCell::const_new();
static NEXT: AtomicUsize = AtomicUsize::new(0);

async fn cluster() -> Fixture {
    let url = SERVERS.get_or_init(NatsCluster::start).await.url();
    let bucket = format!("law{}", NEXT.fetch_add(1, Ordering::Relaxed));
    // Three servers share two cores with the tests.
    let call_timeout = Duration::from_secs(10);
    let options = Options { bucket, replicas: 3, call_timeout, ..Options::default() };
    let store = NatsStore::connect(&url, options).await.expect("the servers can be used");
    Fixture::new(store)
}

store_laws!(cluster);
session_promises!(cluster);
