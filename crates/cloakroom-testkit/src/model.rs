//! Random scripts, played on a store and on a map of records: every answer is the same.

mod play;
mod reference;
mod script;

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use tokio::runtime::Handle;

use crate::Fixture;

/// How many scripts are played unless the environment says otherwise.
const CASES: u32 = 64;
/// Names the variable of the environment that says how many scripts are played.
const CASES_VARIABLE: &str = "CLOAKROOM_MODEL_CASES";

/// Scripts of creations, commits, resends, endings and sweeps, with time passing, are answered as
/// [`Record::apply`](cloakroom_core::Record::apply) on a map of records answers them. A failing
/// script is shrunk to its shortest and printed.
pub async fn scripts_are_answered_as_specified(fixture: &Fixture) {
    let config = Config { cases: cases(), failure_persistence: None, ..Config::default() };
    let result = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&script::scripts(), |steps| {
            let played = Handle::current().block_on(play::play(fixture, &steps));
            played.map_err(TestCaseError::fail)
        })
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => panic!("{reason}\nin this script:\n{steps:#?}"),
        Err(TestError::Abort(reason)) => panic!("no script could be made: {reason}"),
    }
}

fn cases() -> u32 {
    match std::env::var(CASES_VARIABLE) {
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("{CASES_VARIABLE} is a number, not {text:?}"))
        }
        Err(_) => CASES,
    }
}
