//! The promises: what sessions do on several nodes over one store. Each is a plain function that
//! panics where one is broken.

mod attributes;
mod client;
mod endings;
mod faults;
mod interleavings;
mod logins;
mod nodes;
mod overtaken;
mod unanswered;
mod updates;

pub use attributes::*;
pub use endings::*;
pub use faults::*;
pub use interleavings::*;
pub use logins::*;
pub use nodes::{Heard, Nodes};
pub use overtaken::*;
pub use unanswered::*;
pub use updates::*;

/// The promises as values: compiled here, and not again for every store.
#[doc(hidden)]
pub mod values {
    use crate::fixture::{Fixture, Run};

    macro_rules! promise {
        ($name:ident) => {
            pub fn $name(fixture: &Fixture) -> Run<'_> {
                Box::pin(super::$name(fixture))
            }
        };
    }
    crate::each_promise!(promise);
}

/// Holds sessions over a store to the promises: makes a module `promises` with one test for each.
/// Used like [`store_laws!`](crate::store_laws). Sessions that cannot keep a promise say so by name
/// and say why: `session_promises!(fixture, without: [a_promise: "because"])`. Where a server is not
/// on every machine, all of them are marked, as with the laws.
#[macro_export]
macro_rules! session_promises {
    ($fixture:ident) => {
        $crate::session_promises!($fixture, without: []);
    };
    ($fixture:ident, without: [$($without:ident: $why:literal),* $(,)?]) => {
        /// The promises that these sessions are held to.
        #[cfg(test)]
        mod promises {
            $crate::test_each_promise!(($) $fixture [$($without $why)*] []);
        }
    };
    ($fixture:ident, marked: [$($mark:tt)*]) => {
        /// The promises that these sessions are held to.
        #[cfg(test)]
        mod promises {
            $crate::test_each_promise!(($) $fixture [] [$($mark)*]);
        }
    };
}

/// Makes the tests. The `$` comes in as a token, to write a macro with parameters here: one that
/// knows the promises to ignore by name.
#[doc(hidden)]
#[macro_export]
macro_rules! test_each_promise {
    (($dollar:tt) $fixture:ident [$($without:ident $why:literal)*] [$($mark:tt)*]) => {
        $(const _: () = { let _ = $crate::promises::$without; };)*

        macro_rules! promise {
            $(($without) => {
                #[test]
                #[ignore = $why]
                fn $without() {
                    $crate::fixture::hold(stringify!($without), super::$fixture(), $crate::promises::values::$without);
                }
            };)*
            ($dollar name:ident) => {
                #[test]
                $($mark)*
                fn $dollar name() {
                    $crate::fixture::hold(stringify!($dollar name), super::$fixture(), $crate::promises::values::$dollar name);
                }
            };
        }

        $crate::each_promise!(promise);
    };
}

/// Calls a macro with each promise's name. The one list of them.
#[doc(hidden)]
#[macro_export]
macro_rules! each_promise {
    ($promise:ident) => {
        $promise!(reading_creates_nothing);
        $promise!(the_first_write_creates_and_hands_out_a_token_once);
        $promise!(attributes_are_typed_and_untyped);
        $promise!(removed_attributes_are_gone);
        $promise!(an_undecodable_value_is_absent_and_never_overwritten_by_an_update);
        $promise!(limits_refuse_at_the_edit_and_lose_nothing);
        $promise!(names_are_checked);
        $promise!(a_finished_session_takes_no_edits);
        $promise!(an_early_commit_is_followed_by_another);
        $promise!(application_attributes_are_shared_by_all_nodes);
        $promise!(no_update_of_64_is_lost);
        $promise!(no_transaction_of_64_is_lost);
        $promise!(no_attribute_of_64_is_lost);
        $promise!(an_unchanged_session_is_not_written);
        $promise!(a_use_is_written_once_per_touch_after);
        $promise!(idleness_and_lifetime_end_a_session);
        $promise!(a_session_may_set_its_own_terms);
        $promise!(a_cap_ends_what_was_stored_under_a_laxer_policy);
        $promise!(a_login_replaces_the_token);
        $promise!(a_planted_token_never_reaches_the_session_after_the_login);
        $promise!(a_login_needs_no_old_session);
        $promise!(a_second_login_never_reaches_the_session_of_the_first);
        $promise!(too_many_tokens_open_nothing);
        $promise!(another_user_gets_an_empty_session);
        $promise!(a_logged_out_session_stays_ended);
        $promise!(a_commit_racing_a_logout_never_revives);
        $promise!(seats_refuse_the_newest_login);
        $promise!(seats_end_the_oldest_login);
        $promise!(seats_hold_under_parallel_logins);
        $promise!(a_user_ends_their_own_sessions_only);
        $promise!(all_of_a_user_end_but_one);
        $promise!(a_timed_rotation_waits_for_the_client);
        $promise!(a_timed_rotation_racing_commits_loses_neither);
        $promise!(two_sessions_at_once_open_neither);
        $promise!(each_ending_is_announced_once);
        $promise!(an_unheard_ending_is_announced_again);
        $promise!(a_fast_clock_ends_nobody);
        $promise!(a_fast_clock_refuses_and_does_not_end);
        $promise!(a_session_in_use_never_idles_out);
        $promise!(only_sessions_are_ended_by_key);
        $promise!(hung_listeners_fail_no_logout);
        $promise!(hung_listeners_fail_no_opening);
        $promise!(a_commit_dropped_half_way_is_not_applied_again);
        $promise!(what_waits_behind_a_dropped_commit_commits_nothing);
        $promise!(an_edit_after_refused_ones_builds_on_what_is_stored);
        $promise!(a_lost_logout_overtaken_by_a_login_is_not_done);
        $promise!(a_transaction_overtaken_by_a_logout_is_not_done);
        $promise!(a_login_dropped_half_way_is_not_refused_for_its_own_seat);
        $promise!(an_update_computed_while_its_base_changes_is_computed_again);
        $promise!(an_edit_during_a_replay_is_not_lost);
        $promise!(a_request_reads_what_it_committed_whatever_its_node_hands_on);
        $promise!(an_edit_during_finish_is_committed_or_refused);
        $promise!(every_transaction_on_an_ended_session_fails);
        $promise!(an_edit_during_a_refused_commit_is_committed_later);
        $promise!(a_request_reads_its_write_into_a_session_that_others_kept_alive);
        $promise!(a_request_from_before_an_offer_makes_no_other);
        $promise!(what_outlives_its_request_sees_one_login_only);
        $promise!(a_login_works_after_a_commit_that_found_nothing);
        $promise!(a_logout_overtaken_by_a_login_is_told_to_come_again);
        $promise!(a_logout_that_found_nothing_clears_nothing);
        $promise!(a_lost_answer_is_applied_once);
        $promise!(a_login_whose_answer_is_lost_leaves_nothing);
        $promise!(a_lost_answer_never_undoes_another_writer);
        $promise!(an_application_update_whose_answer_is_lost_counts_once);
        $promise!(a_lost_creation_never_revives_an_ended_session);
        $promise!(lost_terms_never_undo_anothers);
        $promise!(a_handle_whose_commit_is_unknown_takes_no_edits);
        $promise!(a_logout_that_may_have_been_done_is_unknown);
        $promise!(the_token_of_an_early_login_outlives_a_failed_finish);
        $promise!(a_change_of_user_that_stops_half_way_is_unknown);
        $promise!(a_use_that_cannot_be_noted_fails_no_request);
        $promise!(everybody_else_ends_where_one_cannot);
        $promise!(a_store_that_cannot_answer_is_not_a_logout);
        $promise!(a_hanging_store_is_left_at_the_deadline);
        $promise!(failing_at_any_call_leaves_nothing_half_written);
        $promise!(a_dropped_future_leaves_nothing_half_written);
    };
}
