//! Many clients on three nodes with near caches, with faults in between, are told nothing that they
//! were not promised.

#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::time::Duration;

use cloakroom_testkit::history::{Counts, Faults, Promised, check, simulate};
use cloakroom_testkit::stores::Breach;

/// How many histories an everyday run plays; `CLOAKROOM_HISTORIES` says otherwise.
const HISTORIES: u64 = 12;
/// The heartbeat and the lease of a near cache together, and nothing more.
const PROMISED: Promised = Promised { stale: Duration::from_millis(1500) };

fn histories() -> u64 {
    let given = std::env::var("CLOAKROOM_HISTORIES").ok();
    given.map_or(HISTORIES, |given| given.parse().expect("a number of histories"))
}

fn first() -> u64 {
    let given = std::env::var("CLOAKROOM_HISTORIES_FROM").ok();
    given.map_or(0, |given| given.parse().expect("a seed"))
}

#[test]
fn faults_break_no_promise() {
    let mut all = Counts::default();
    for seed in first()..first() + histories() {
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

#[test]
#[ignore]
fn dump() {
    for seed in first()..first() + histories() {
        let history = simulate(seed, Faults::All, Breach::None);
        let Err(broken) = check(&history, PROMISED) else { continue };
        println!("seed {seed} {broken}");
        let session: u64 =
            broken.split("session ").nth(1).unwrap().split(':').next().unwrap().parse().unwrap();
        for r in history.requests.iter().filter(|r| r.session == Some(session)) {
            println!(
                "{:?} c{} n{} {:?} {}..{} {:?}..{:?} {:?}",
                r.token_of,
                r.client,
                r.node,
                r.work,
                r.asked.order,
                r.told.order,
                r.asked.at,
                r.told.at,
                r.answer
            );
        }
        return;
    }
}
