//! A feed that breaks its contract is caught by histories: what clients are told under it is not
//! what they were promised.

use std::time::Duration;

use cloakroom_testkit::history::{Faults, Promised, check, simulate};
use cloakroom_testkit::stores::Breach;

/// How many histories are played until one catches the fault.
const HISTORIES: u64 = 40;

/// Whether a history catches `breach`.
fn caught(breach: Breach) -> bool {
    let promised = Promised { stale: Duration::from_millis(1500) };
    (0..HISTORIES).any(|seed| check(&simulate(seed, Faults::All, breach), promised).is_err())
}

#[test]
fn a_feed_that_tells_of_nothing() {
    assert!(caught(Breach::Deaf));
}

#[test]
fn heartbeats_that_overtake_notices() {
    assert!(caught(Breach::BeatsOvertake));
}
