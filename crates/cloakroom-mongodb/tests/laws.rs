//! The laws and the promises, held against a real server, each in a database of its own.

mod support;

use cloakroom_testkit::{Fixture, session_promises, store_laws};

async fn mongodb() -> Fixture {
    let (store, database) = support::store().await;
    Fixture::new(store).holding(database)
}

store_laws!(mongodb);
session_promises!(mongodb);

/// Every commit says what it makes of the record: it is one command.
mod built {
    use cloakroom_testkit::stores::Building;
    use cloakroom_testkit::{Fixture, store_laws};

    async fn built() -> Fixture {
        let (store, database) = super::support::store().await;
        Fixture::new(Building::new(store)).holding(database)
    }

    store_laws!(built);
}
