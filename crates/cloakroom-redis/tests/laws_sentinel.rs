//! The laws and the promises, held against the master that sentinels name, which all of them share.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::servers::Sentinel;
use cloakroom_testkit::{Fixture, session_promises, store_laws};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::OnceCell;

static SERVERS: OnceCell<Sentinel> = OnceCell::const_new();
static NEXT: AtomicUsize = AtomicUsize::new(0);

async fn sentinel() -> Fixture {
    let url = SERVERS.get_or_init(Sentinel::start).await.url();
    let prefix = format!("law{}:", NEXT.fetch_add(1, Ordering::Relaxed));
    let options = Options { prefix, ..Options::default() };
    let store = RedisStore::connect(&url, options).await.expect("the servers can be used");
    Fixture::new(store)
}

store_laws!(sentinel);
session_promises!(sentinel);
