//! The promises: what sessions do on several nodes over one store. Each is a plain function that
//! panics where one is broken.

mod attributes;
mod endings;
mod faults;
mod logins;
mod nodes;
mod updates;

pub use attributes::*;
pub use endings::*;
pub use faults::*;
pub use logins::*;
pub use nodes::{Heard, Nodes};
pub use updates::*;

/// Holds sessions over a store to the promises: makes a module `promises` with one test for each.
/// Used like [`store_laws!`](crate::store_laws).
#[macro_export]
macro_rules! session_promises {
    ($fixture:ident) => {
        /// The promises that sessions over this store are held to.
        #[cfg(test)]
        mod promises {
            $crate::each_promise!(($) $fixture);
        }
    };
}

/// Lists every promise, once. The `$` comes in as a token, to write a macro with parameters here.
#[doc(hidden)]
#[macro_export]
macro_rules! each_promise {
    (($dollar:tt) $fixture:ident) => {
        macro_rules! promise {
                            ($dollar($dollar name:ident)*) => {
                                $dollar(
                                    #[test]
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
            a_lost_answer_is_applied_once
            a_lost_answer_never_undoes_another_writer
            a_store_that_cannot_answer_is_not_a_logout
            a_hanging_store_is_left_at_the_deadline
            failing_at_any_call_leaves_nothing_half_written
            a_dropped_future_leaves_nothing_half_written
        }
    };
}
