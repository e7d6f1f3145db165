//! Sessions over the store in memory keep every promise.

use cloakroom_core::MemoryStore;
use cloakroom_testkit::{Fixture, session_promises};

async fn memory() -> Fixture {
    Fixture::new(MemoryStore::new())
}

session_promises!(memory);
