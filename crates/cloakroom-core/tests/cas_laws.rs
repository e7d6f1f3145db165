//! A store over a register keeps every law and every promise, however the register tells one
//! content from another.

use cloakroom_core::store::Cas;
use cloakroom_testkit::stores::{Building, MemoryRegister, Tells};
use cloakroom_testkit::{Fixture, session_promises, store_laws};

fn cas(tells: Tells) -> Cas<MemoryRegister> {
    Cas::new(MemoryRegister::new(tells))
}

async fn by_revisions() -> Fixture {
    Fixture::new(cas(Tells::Revisions))
}

store_laws!(by_revisions);
session_promises!(by_revisions);

mod by_bytes {
    use super::{Fixture, Tells, cas, session_promises, store_laws};

    async fn by_bytes() -> Fixture {
        Fixture::new(cas(Tells::Bytes))
    }

    store_laws!(by_bytes);
    session_promises!(by_bytes);
}

/// Every commit says what it makes of the record.
mod built {
    use super::{Building, Fixture, Tells, cas, store_laws};

    async fn built() -> Fixture {
        Fixture::new(Building::new(cas(Tells::Revisions)))
    }

    store_laws!(built);
}
