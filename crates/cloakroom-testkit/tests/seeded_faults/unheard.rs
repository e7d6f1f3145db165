//! A near cache whose feed breaks its contract is caught by what two nodes are held to: the caches
//! are at work there, and what they serve matters.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cloakroom_core::MemoryStore;
use cloakroom_testkit::fixture::{Run, hold};
use cloakroom_testkit::stores::{Breach, Fed};
use cloakroom_testkit::{Fixture, laws, near, promises};

use super::RUNS;

/// Two handles whose feeds tell of nothing, though they answer heartbeats.
fn deaf() -> Vec<Fed> {
    let handles = Fed::handles(MemoryStore::new(), 2);
    handles.iter().for_each(|handle| handle.wire().set_breach(Breach::Deaf));
    handles
}

async fn in_turn() -> Fixture {
    near::in_turn(&deaf()).await
}

async fn two_nodes() -> Fixture {
    near::fixture(&deaf()).await
}

/// Whether `check` fails on a fixture in one of a few runs.
fn catches<F>(name: &str, fixture: fn() -> F, check: for<'a> fn(&'a Fixture) -> Run<'a>) -> bool
where
    F: Future<Output = Fixture>,
{
    let run = |_| catch_unwind(AssertUnwindSafe(|| hold(name, fixture(), check))).is_err();
    (0..RUNS).any(run)
}

macro_rules! caught {
    ($list:ident over $fixture:ident: $($check:ident)+) => {$(
        #[test]
        fn $check() {
            let name = stringify!($check);
            let caught = catches(name, $fixture, |fixture| Box::pin($list::$check(fixture)));
            assert!(caught, "{name} does not see a deaf feed");
        }
    )+};
}

mod by_laws {
    use super::*;

    caught! { laws over in_turn:
        a_field_is_removed
        a_late_resend_undoes_nothing
        a_login_shuts_every_earlier_secret
        an_offer_waits
        none_is_missed_when_all_are_ended
        scripts_are_answered_as_specified
        versions_grow_with_changes_only
    }
}

mod by_promises {
    use super::*;

    caught! { promises over two_nodes:
        a_commit_racing_a_logout_never_revives
        a_session_may_set_its_own_terms
        a_user_ends_their_own_sessions_only
        what_outlives_its_request_sees_one_login_only
    }
}
