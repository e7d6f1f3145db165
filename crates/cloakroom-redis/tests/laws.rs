//! The laws and the promises, held against a real server of their own each.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::servers::Redis;
use cloakroom_testkit::{Fixture, session_promises, store_laws};

async fn redis() -> Fixture {
    let server = Redis::start().await;
    let store = RedisStore::connect(&server.url(), Options::default())
        .await
        .expect("the server can be used");
    Fixture::new(store).holding(server)
}

store_laws!(redis);
session_promises!(redis);

/// Every commit says what it makes of the record: the server need not make it.
mod built {
    use cloakroom_redis::{Options, RedisStore};
    use cloakroom_testkit::servers::Redis;
    use cloakroom_testkit::stores::Building;
    use cloakroom_testkit::{Fixture, store_laws};

    async fn built() -> Fixture {
        let server = Redis::start().await;
        let store = RedisStore::connect(&server.url(), Options::default())
            .await
            .expect("the server can be used");
        Fixture::new(Building::new(store)).holding(server)
    }

    store_laws!(built);
}
