//! A store with a near cache in front keeps every law, whatever becomes of what it is told.

use std::time::Duration;

use cloakroom_core::MemoryStore;
use cloakroom_testkit::stores::{Fed, Merge, Pace, Shape};
use cloakroom_testkit::{Fixture, near, store_laws};

/// How late a late notice is.
const LATE: Duration = Duration::from_millis(3);

fn handles(count: usize) -> Vec<Fed> {
    Fed::handles(MemoryStore::new(), count)
}

/// Two nodes, of which one writes what the other one reads.
mod in_turn {
    use super::{Fixture, handles, near, store_laws};

    async fn in_turn() -> Fixture {
        near::in_turn(&handles(2)).await
    }

    store_laws!(in_turn);
}

/// The same, told with versions, by two sources for each.
mod in_turn_with_versions {
    use std::sync::Arc;

    use super::{Fed, Fixture, MemoryStore, Shape, near, store_laws};

    async fn with_versions() -> Fixture {
        let shape = Shape { sources: 2, versions: true };
        near::in_turn(&Fed::shaped(Arc::new(MemoryStore::new()), 2, shape)).await
    }

    store_laws!(with_versions);
}

/// One node whose feed is no help.
macro_rules! alone {
    ($($name:ident: $setup:expr;)+) => {$(
        mod $name {
            use super::*;

            async fn $name() -> Fixture {
                let handles = handles(1);
                let fixture = near::fixture(&handles).await;
                let setup: fn(&Fed) = $setup;
                setup(&handles[0]);
                fixture
            }

            store_laws!($name);
        }
    )+};
}

alone! {
    healthy: |_| {};
    late: |fed| fed.wire().set_pace(Pace::After(LATE));
    twice: |fed| {
        fed.wire().set_repeats(true);
        fed.wire().set_pace(Pace::After(LATE));
    };
    merged: |fed| {
        fed.wire().set_merge(Merge::All);
        fed.wire().set_pace(Pace::After(LATE));
    };
    silent: |fed| fed.wire().set_pace(Pace::Silent);
    cut: |fed| fed.wire().unplug();
}
