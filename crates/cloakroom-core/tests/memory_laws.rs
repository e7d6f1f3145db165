//! The store in memory keeps every law.

use cloakroom_core::MemoryStore;
use cloakroom_testkit::{Fixture, store_laws};

async fn memory() -> Fixture {
    Fixture::new(MemoryStore::new())
}

store_laws!(memory);
