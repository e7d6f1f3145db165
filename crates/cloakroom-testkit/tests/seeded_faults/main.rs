//! A law is trusted once it has failed: every fault that is put into a store is caught by the law
//! that is there for it.

mod faulty;
mod unheard;
mod unkept;

use std::panic::{AssertUnwindSafe, catch_unwind};

use cloakroom_testkit::fixture::hold;
use cloakroom_testkit::laws::{Law, all as all_laws};
use cloakroom_testkit::{Fixture, store_laws};
use faulty::{Fault, Faulty};

/// How often a law that depends on a race is run until it catches the fault.
const RUNS: usize = 50;

async fn faultless() -> Fixture {
    Fixture::new(Faulty::new(Fault::None))
}

store_laws!(faultless);

/// A store may do without a law by name: that one shows as ignored, and the others hold.
mod by_prefix {
    use super::{Fault, Faulty, Fixture, store_laws};

    async fn by_prefix() -> Fixture {
        Fixture::new(Faulty::new(Fault::ListsByPrefix))
    }

    store_laws!(by_prefix, without: [principals_are_apart]);
}

/// Whether `law` fails on a store with `fault`.
fn catches(name: &str, law: Law, fault: Fault) -> bool {
    let fixture = async { Fixture::new(Faulty::new(fault)) };
    catch_unwind(AssertUnwindSafe(|| hold(name, fixture, law))).is_err()
}

#[expect(clippy::expect_used, reason = "a test names its law")]
fn law(name: &str) -> Law {
    let mut all = all_laws().into_iter();
    let found = all.find(|(known, _)| *known == name);
    found.expect("a law has this name").1
}

macro_rules! caught {
    ($($test:ident: $fault:ident by [$($law:ident),+];)+) => {$(
        #[test]
        fn $test() {
            $(
                let name = stringify!($law);
                let caught = (0..RUNS).any(|_| catches(name, law(name), Fault::$fault));
                assert!(caught, "{name} does not see this fault");
            )+
        }
    )+};
}

caught! {
    an_upsert_on_a_removed_record: UpsertsRemoved by
        [a_commit_creates_nothing, an_ending_returns_what_it_removed, nothing_revives_what_has_ended];
    ignored_versions: IgnoresVersions by [expectations_are_kept, many_increments_count_all];
    a_swallowed_lost_swap: SwallowsLostSwap by
        [many_writers_of_many_fields_all_win, many_increments_count_all];
    no_deadline_check: NoDeadlineCheck by [what_is_over_is_gone];
    expiring_twice: ExpiresTwice by [what_is_over_expires_once, many_sweepers_share];
    applying_a_resend_twice: AppliesResends by
        [a_resent_commit_is_applied_once, a_late_resend_undoes_nothing];
    ignoring_who_opened: IgnoresOpener by
        [a_stranger_changes_nothing, a_replaced_secret_opens_nothing];
    ignoring_a_guard: IgnoresGuard by [a_wrong_guard_ends_nothing, a_replaced_secret_ends_nothing];
    ending_what_was_read_before: EndsWhatItRead by [nothing_revives_what_has_ended];
    claiming_without_a_second_look: ClaimsUnchecked by [a_use_or_a_sweep_wins];
    sweeping_by_an_old_deadline: SweepsByFirstDeadline by [a_touch_moves_the_deadline];
    counting_seats_before_taking_one: CountsSeatsFirst by [new_sessions_share_the_seats];
    committing_in_halves: CommitsInHalves by [a_commit_given_up_is_whole_or_nothing];
    forgetting_endings: ForgetsEndings by
        [endings_wait_for_their_lease, expired_sessions_are_announced];
    leasing_to_all: LeasesToAll by [endings_wait_for_their_lease];
    listing_by_prefix: ListsByPrefix by [principals_are_apart];
    dropping_touches: DropsTouches by [a_touch_moves_the_deadline];
    dropping_what_newer_versions_wrote: DropsUnknown by [a_commit_keeps_the_rest];
}

/// Prints which laws see which fault in one run of each: `cargo test -p cloakroom-testkit --test
/// seeded_faults -- --ignored --nocapture`.
#[test]
#[ignore = "a table for the documentation, not a test"]
#[allow(clippy::print_stdout, reason = "the table is what it is for")]
fn which_law_sees_which_fault() {
    for fault in Fault::ALL {
        let seen_by: Vec<&str> = all_laws()
            .into_iter()
            .filter(|(name, law)| catches(name, *law, fault))
            .map(|(name, _)| name)
            .collect();
        println!("{fault:?}: {}", seen_by.join(", "));
    }
}
