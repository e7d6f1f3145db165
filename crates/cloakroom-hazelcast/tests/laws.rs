//! The laws and the promises, held against a real cluster of two members, in a map of their own
//! each.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use cloakroom_hazelcast::{HazelcastStore, Options};
use cloakroom_testkit::servers::Hazelcast;
use cloakroom_testkit::{Fixture, session_promises, store_laws};

/// Time enough for a machine that has a lot else to do.
fn patient() -> Options {
    let call_timeout = Duration::from_secs(10);
    Options { connect_timeout: Duration::from_secs(20), call_timeout }
}

async fn hazelcast() -> Fixture {
    let cluster = Hazelcast::shared().await;
    let url = cluster.url(&cluster.new_map());
    Fixture::new(HazelcastStore::connect(&url, patient()).await.expect("it can be used"))
}

store_laws!(hazelcast, marked: [#[ignore = "needs Hazelcast 5: scripts/test --all"]]);
session_promises!(hazelcast, marked: [#[ignore = "needs Hazelcast 5: scripts/test --all"]]);

/// Every commit says what it makes of the record: the cluster need only swap it.
mod built {
    use cloakroom_hazelcast::HazelcastStore;
    use cloakroom_testkit::servers::Hazelcast;
    use cloakroom_testkit::stores::Building;
    use cloakroom_testkit::{Fixture, store_laws};

    async fn built() -> Fixture {
        let cluster = Hazelcast::shared().await;
        let url = cluster.url(&cluster.new_map());
        let store = HazelcastStore::connect(&url, super::patient()).await;
        Fixture::new(Building::new(store.expect("it can be used")))
    }

    store_laws!(built, marked: [#[ignore = "needs Hazelcast 5: scripts/test --all"]]);
}
