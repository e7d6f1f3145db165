//! The laws and the promises, held against a bucket of their own each.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use cloakroom_nats::{NatsStore, Options};
use cloakroom_testkit::servers::Nats;
use cloakroom_testkit::stores::Building;
use cloakroom_testkit::{Fixture, session_promises, store_laws};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::OnceCell;

static SERVER: OnceCell<Nats> = OnceCell::const_new();
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A store in a bucket that nobody else uses.
async fn store() -> NatsStore {
    let url = SERVER.get_or_init(Nats::start).await.url();
    let bucket = format!("law{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let options = Options { bucket, ..Options::default() };
    NatsStore::connect(&url, options).await.expect("the server can be used")
}

async fn nats() -> Fixture {
    Fixture::new(store().await)
}

/// Every commit says what it makes of the record: it is one swap then.
async fn built() -> Fixture {
    Fixture::new(Building::new(store().await))
}

store_laws!(nats);
session_promises!(nats);

mod built {
    use super::built;
    use cloakroom_testkit::store_laws;

    store_laws!(built);
}
