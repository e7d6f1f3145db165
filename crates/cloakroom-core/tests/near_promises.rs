//! Sessions on two nodes, each with a near cache of its own, keep every promise.

use cloakroom_core::MemoryStore;
use cloakroom_testkit::stores::Fed;
use cloakroom_testkit::{Fixture, near, session_promises};

async fn two_caches() -> Fixture {
    near::fixture(&Fed::handles(MemoryStore::new(), 2)).await
}

session_promises!(two_caches);
