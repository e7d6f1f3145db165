//! The laws: what every store does, whatever it is made of. Each is a plain function that panics
//! where a store breaks it.

mod announcing;
mod directory;
mod dropping;
mod ending;
mod expiring;
mod keeping;
mod living;
mod racing;
mod seats;
mod secrets;
mod writing;

pub use announcing::*;
pub use directory::*;
pub use dropping::*;
pub use ending::*;
pub use expiring::*;
pub use keeping::*;
pub use living::*;
pub use racing::*;
pub use seats::*;
pub use secrets::*;
pub use writing::*;

pub use crate::model::scripts_are_answered_as_specified;

pub use crate::fixture::Law;

/// Every law with its name.
pub fn all() -> Vec<(&'static str, Law)> {
    let mut all: Vec<(&'static str, Law)> = Vec::new();
    macro_rules! law {
        ($name:ident) => {
            all.push((stringify!($name), values::$name));
        };
    }
    crate::each_law!(law);
    all
}

/// The laws as values: compiled here, and not again for every store.
#[doc(hidden)]
pub mod values {
    use crate::fixture::{Fixture, Run};

    macro_rules! law {
        ($name:ident) => {
            pub fn $name(fixture: &Fixture) -> Run<'_> {
                Box::pin(super::$name(fixture))
            }
        };
    }
    crate::each_law!(law);
}

/// Holds a store to the laws: makes a module `laws` with one test for each.
///
/// `fixture` names an `async fn() -> Fixture` in the module around; every law gets a fixture of
/// its own. A store that cannot keep a law says so by name, and the test shows as ignored:
/// `store_laws!(fixture, without: [a_law, another])`. Where a server is not on every machine, all
/// of them are marked: `store_laws!(fixture, marked: [#[ignore = "needs this and that"]])`.
#[macro_export]
macro_rules! store_laws {
    ($fixture:ident) => {
        $crate::store_laws!($fixture, without: []);
    };
    ($fixture:ident, without: [$($without:ident),* $(,)?]) => {
        /// The laws that this store is held to.
        #[cfg(test)]
        mod laws {
            $crate::test_each_law!(($) $fixture [$($without)*] []);
        }
    };
    ($fixture:ident, marked: [$($mark:tt)*]) => {
        /// The laws that this store is held to.
        #[cfg(test)]
        mod laws {
            $crate::test_each_law!(($) $fixture [] [$($mark)*]);
        }
    };
}

/// Makes the tests. The `$` comes in as a token, to write a macro with parameters here: one that
/// knows the laws to ignore by name.
#[doc(hidden)]
#[macro_export]
macro_rules! test_each_law {
    (($dollar:tt) $fixture:ident [$($without:ident)*] [$($mark:tt)*]) => {
        $(const _: () = { let _ = $crate::laws::$without; };)*

        macro_rules! law {
            $(($without) => {
                #[test]
                #[ignore = "this store does without this law"]
                fn $without() {
                    $crate::fixture::hold(stringify!($without), super::$fixture(), $crate::laws::values::$without);
                }
            };)*
            ($dollar name:ident) => {
                #[test]
                $($mark)*
                fn $dollar name() {
                    $crate::fixture::hold(stringify!($dollar name), super::$fixture(), $crate::laws::values::$dollar name);
                }
            };
        }

        $crate::each_law!(law);
    };
}

/// Calls a macro with each law's name. The one list of them.
#[doc(hidden)]
#[macro_export]
macro_rules! each_law {
    ($law:ident) => {
        $law!(what_is_created_is_loaded);
        $law!(a_commit_keeps_the_rest);
        $law!(absent_is_none);
        $law!(kinds_are_apart);
        $law!(a_living_key_is_not_created_again);
        $law!(a_record_that_is_over_is_replaced);
        $law!(one_of_many_creates);
        $law!(disjoint_writes_both_win);
        $law!(expectations_are_kept);
        $law!(a_conflict_applies_nothing);
        $law!(a_field_is_removed);
        $law!(a_commit_creates_nothing);
        $law!(versions_grow_with_changes_only);
        $law!(large_versions_are_exact);
        $law!(a_resent_commit_is_applied_once);
        $law!(a_late_resend_undoes_nothing);
        $law!(limits_refuse);
        $law!(shrinking_passes_a_limit);
        $law!(what_is_over_is_gone);
        $law!(what_has_no_deadline_stays);
        $law!(a_touch_moves_the_deadline);
        $law!(a_commit_alone_is_no_use);
        $law!(the_last_use_never_goes_back);
        $law!(terms_are_changed);
        $law!(terms_may_end_a_record);
        $law!(many_writers_of_many_fields_all_win);
        $law!(many_increments_count_all);
        $law!(one_commit_sent_by_many_is_applied_once);
        $law!(a_stranger_changes_nothing);
        $law!(a_replaced_secret_opens_nothing);
        $law!(superseded_secrets_are_few);
        $law!(a_resent_rotation_is_applied_once);
        $law!(a_login_shuts_every_earlier_secret);
        $law!(an_offer_waits);
        $law!(only_the_current_secret_is_rotated);
        $law!(a_confirmed_secret_takes_over);
        $law!(a_stolen_record_opens_nothing);
        $law!(an_ending_returns_what_it_removed);
        $law!(a_wrong_guard_ends_nothing);
        $law!(nobody_is_no_principal);
        $law!(a_replaced_secret_ends_nothing);
        $law!(one_of_many_ends);
        $law!(nothing_revives_what_has_ended);
        $law!(what_is_over_expires_once);
        $law!(what_has_expired_is_removed);
        $law!(a_sweep_keeps_its_limit);
        $law!(many_sweepers_share);
        $law!(a_use_or_a_sweep_wins);
        $law!(capabilities_are_kept);
        $law!(endings_wait_for_their_lease);
        $law!(acknowledged_endings_are_forgotten);
        $law!(a_lease_keeps_its_limit);
        $law!(many_listeners_share);
        $law!(expired_sessions_are_announced);
        $law!(only_what_is_asked_for_is_announced);
        $law!(an_ending_that_fails_is_not_announced);
        $law!(a_principals_sessions_are_listed);
        $law!(the_list_is_current);
        $law!(principals_are_apart);
        $law!(only_sessions_have_seats);
        $law!(a_new_principal_moves_the_session);
        $law!(a_replaced_record_leaves_the_list);
        $law!(pages_and_counts_know_one_kind);
        $law!(new_sessions_share_the_seats);
        $law!(signing_in_shares_the_seats);
        $law!(a_refused_login_names_the_seats);
        $law!(a_seat_is_freed);
        $law!(a_session_has_one_seat);
        $law!(a_failed_login_takes_no_seat);
        $law!(a_resent_login_keeps_its_answer);
        $law!(none_is_missed_when_all_are_ended);
        $law!(a_commit_given_up_is_whole_or_nothing);
        $law!(a_creation_given_up_is_whole_or_nothing);
        $law!(an_ending_given_up_is_whole_or_nothing);
        $law!(scripts_are_answered_as_specified);
    };
}
