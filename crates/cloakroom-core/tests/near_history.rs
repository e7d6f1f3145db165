//! Many clients on three nodes with near caches, with faults in between, are told nothing that they
//! were not promised.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::time::Duration;

use cloakroom_testkit::history::{Counts, Faults, Promised, check, simulate};
use cloakroom_testkit::stores::Breach;

/// How many histories an everyday run plays; `CLOAKROOM_HISTORIES` says otherwise, and
/// `CLOAKROOM_HISTORIES_FROM` which is the first.
const HISTORIES: u64 = 12;
/// The heartbeat and the lease of a near cache together, and nothing more.
const PROMISED: Promised = Promised { stale: Duration::from_millis(1500) };

/// A number that the environment gives.
fn given(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |given| given.parse().expect("a number"))
}

#[test]
fn faults_break_no_promise() {
    let mut all = Counts::default();
    let first = given("CLOAKROOM_HISTORIES_FROM", 0);
    for seed in first..first + given("CLOAKROOM_HISTORIES", HISTORIES) {
        let history = simulate(seed, Faults::All, Breach::None);
        match check(&history, PROMISED) {
            Ok(counts) => all += counts,
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
    println!("{all}");
}

/// While the feed is healthy, an ended session is read by nobody once its end is acknowledged.
#[test]
fn a_healthy_feed_leaves_nothing_stale() {
    let promised = Promised { stale: Duration::ZERO };
    for seed in 0..2 {
        let history = simulate(seed, Faults::None, Breach::None);
        match check(&history, promised) {
            Ok(counts) => println!("{counts}"),
            Err(broken) => panic!("seed {seed}: {broken}"),
        }
    }
}
