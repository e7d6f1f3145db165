//! The promises: what sessions do on several nodes over one store. Each is a plain function that
//! panics where one is broken.

mod attributes;
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

/// Holds sessions over a store to the promises: makes a module `promises` with one test for each.
/// Used like [`store_laws!`](crate::store_laws).
#[macro_export]
macro_rules! session_promises {
    ($fixture:ident) => {
        $crate::session_promises!($fixture, marked: []);
    };
    ($fixture:ident, marked: [$($mark:tt)*]) => {
        /// The promises that sessions over this store are held to.
        #[cfg(test)]
        mod promises {
            $crate::each_promise!(($) $fixture [$($mark)*]);
        }
    };
}

/// Lists every promise, once. The `$` comes in as a token, to write a macro with parameters here.
#[doc(hidden)]
#[macro_export]
macro_rules! each_promise {
    (($dollar:tt) $fixture:ident [$($mark:tt)*]) => {
        macro_rules! promise {
                            ($dollar($dollar name:ident)*) => {
                                $dollar(
                                    #[test]
                                    $($mark)*
                                    fn $dollar name() {
                                        let name = stringify!($dollar name);
                                        $crate::fixture::hold(name, super::$fixture(), |fixture| {
                                            Box::pin($crate::promises::$dollar name(fixture))
                                        });
                                    }
                                )*
                            };
                        }

        promise! {
            reading_creates_nothing
            the_first_write_creates_and_hands_out_a_token_once
            attributes_are_typed_and_untyped
            removed_attributes_are_gone
            an_undecodable_value_is_absent_and_never_overwritten_by_an_update
            limits_refuse_at_the_edit_and_lose_nothing
            names_are_checked
            a_finished_session_takes_no_edits
            an_early_commit_is_followed_by_another
            application_attributes_are_shared_by_all_nodes
            no_update_of_64_is_lost
            no_transaction_of_64_is_lost
            no_attribute_of_64_is_lost
            an_unchanged_session_is_not_written
            a_use_is_written_once_per_touch_after
            idleness_and_lifetime_end_a_session
            a_session_may_set_its_own_terms
            a_cap_ends_what_was_stored_under_a_laxer_policy
            a_login_replaces_the_token
            a_planted_token_never_reaches_the_session_after_the_login
            a_login_needs_no_old_session
            a_second_login_never_reaches_the_session_of_the_first
            too_many_tokens_open_nothing
            another_user_gets_an_empty_session
            a_logged_out_session_stays_ended
            a_commit_racing_a_logout_never_revives
            seats_refuse_the_newest_login
            seats_end_the_oldest_login
            seats_hold_under_parallel_logins
            a_user_ends_their_own_sessions_only
            all_of_a_user_end_but_one
            a_timed_rotation_waits_for_the_client
            a_timed_rotation_racing_commits_loses_neither
            two_sessions_at_once_open_neither
            each_ending_is_announced_once
            an_unheard_ending_is_announced_again
            a_fast_clock_ends_nobody
            a_fast_clock_refuses_and_does_not_end
            a_session_in_use_never_idles_out
            only_sessions_are_ended_by_key
            hung_listeners_fail_no_logout
            hung_listeners_fail_no_opening
            a_commit_dropped_half_way_is_not_applied_again
            what_waits_behind_a_dropped_commit_commits_nothing
            an_edit_after_refused_ones_builds_on_what_is_stored
            a_lost_logout_overtaken_by_a_login_is_not_done
            a_transaction_overtaken_by_a_logout_is_not_done
            a_login_dropped_half_way_is_not_refused_for_its_own_seat
            an_update_computed_while_its_base_changes_is_computed_again
            an_edit_during_a_replay_is_not_lost
            a_request_reads_what_it_committed_whatever_its_node_hands_on
            an_edit_during_finish_is_committed_or_refused
            every_transaction_on_an_ended_session_fails
            an_edit_during_a_refused_commit_is_committed_later
            a_request_reads_its_write_into_a_session_that_others_kept_alive
            a_request_from_before_an_offer_makes_no_other
            what_outlives_its_request_sees_one_login_only
            a_login_works_after_a_commit_that_found_nothing
            a_logout_overtaken_by_a_login_is_told_to_come_again
            a_logout_that_found_nothing_clears_nothing
            a_lost_answer_is_applied_once
            a_login_whose_answer_is_lost_leaves_nothing
            a_lost_answer_never_undoes_another_writer
            an_application_update_whose_answer_is_lost_counts_once
            a_lost_creation_never_revives_an_ended_session
            lost_terms_never_undo_anothers
            a_handle_whose_commit_is_unknown_takes_no_edits
            a_logout_that_may_have_been_done_is_unknown
            the_token_of_an_early_login_outlives_a_failed_finish
            a_change_of_user_that_stops_half_way_is_unknown
            a_use_that_cannot_be_noted_fails_no_request
            everybody_else_ends_where_one_cannot
            a_store_that_cannot_answer_is_not_a_logout
            a_hanging_store_is_left_at_the_deadline
            failing_at_any_call_leaves_nothing_half_written
            a_dropped_future_leaves_nothing_half_written
        }
    };
}
