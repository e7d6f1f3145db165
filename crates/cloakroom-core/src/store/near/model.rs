//! Explores every interleaving of a few operations against the near cache's machine: calls of one
//! node, changes that others make, notices that are late or never come, feeds that are cut, calls
//! that are given up, evictions, a key that moves, a failover. And shows what each rule is for by
//! leaving it out. Notices say that there is a change, or what it has come to.

mod parts;
mod scenes;
mod world;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use self::parts::{Event, key, record};
use self::scenes::*;
use self::world::World;
use super::machine::Rule;

/// Explores everything that can happen: how many states there are, or the shortest way to one that
/// breaks a guarantee.
fn explore(wire: Wire, scene: Scene, without: &'static [Rule]) -> Result<usize, String> {
    let mut seen = HashSet::new();
    // Every state's predecessor, and what led from there to it.
    let mut steps: Vec<(usize, Event)> = Vec::new();
    let mut open = VecDeque::from([(World::new(wire, scene, without), usize::MAX)]);
    while let Some((world, at)) = open.pop_front() {
        for event in world.events() {
            let mut next = world.clone();
            if let Err(broken) = next.step(event) {
                return Err(format!("{broken}: {:?}", way_to(&steps, at, event)));
            }
            if seen.insert(next.digest()) {
                steps.push((at, event));
                open.push_back((next, steps.len() - 1));
            }
        }
    }
    Ok(seen.len())
}

fn way_to(steps: &[(usize, Event)], mut at: usize, last: Event) -> Vec<Event> {
    let mut way = vec![last];
    while let Some((before, event)) = steps.get(at) {
        way.push(*event);
        at = *before;
    }
    way.reverse();
    way
}

/// No guarantee is broken, whatever happens.
fn holds(scene: Scene) {
    holds_on(&[Wire::Shared, Wire::Apart, Wire::Told], scene);
}

fn holds_on(wires: &[Wire], scene: Scene) {
    for &wire in wires {
        match explore(wire, scene, &[]) {
            Ok(states) => assert!(states > 100, "{wire:?}: there is little to explore"),
            Err(broken) => panic!("{wire:?}: {broken}"),
        }
    }
}

#[test]
fn late_notices_break_nothing() {
    holds(LATE_NOTICES);
}

#[test]
fn own_commits_break_nothing() {
    holds_on(&[Wire::Shared, Wire::Apart], OWN_COMMITS);
    holds_on(&[Wire::Told], OWN_COMMITS_TOLD);
}

#[test]
fn a_client_never_goes_back() {
    holds(A_FENCE);
}

#[test]
fn what_has_ended_is_not_shown_for_long() {
    holds(AN_ENDING);
}

#[test]
fn what_was_said_to_be_gone_does_not_come_back() {
    holds(AN_END_THAT_IS_READ);
}

#[test]
fn catching_up_breaks_nothing() {
    holds_on(&[Wire::Told], CATCHING_UP);
}

#[test]
fn a_cut_breaks_nothing() {
    holds(A_CUT);
}

#[test]
fn calls_that_are_given_up_break_nothing() {
    holds_on(&[Wire::Shared, Wire::Apart], GIVING_UP);
    holds_on(&[Wire::Told], GIVING_UP_TOLD);
}

#[test]
fn a_move_breaks_nothing() {
    holds(A_MOVE);
}

#[test]
fn a_failover_breaks_nothing() {
    holds(A_FAILOVER);
}

/// Each rule, and where leaving it out breaks something. Two that each do what the other does are
/// left out together.
#[test]
fn every_rule_is_needed() {
    use Rule::*;
    let needed: &[(&'static [Rule], Wire, Scene)] = &[
        (&[ServeUnderLease], Wire::Shared, AN_ENDING),
        (&[ServeAboveFence], Wire::Shared, A_FENCE),
        (&[ServeFromTheSource], Wire::Shared, A_MOVE),
        (&[KeepCleanLoads], Wire::Apart, LATE_NOTICES),
        (&[KeepAboveTheFloor], Wire::Apart, OWN_COMMITS),
        (&[KeepCleanCommits, BuildOnWhatIsHeld], Wire::Shared, GIVING_UP),
        (&[KeepTheNextVersion, BuildOnWhatIsHeld], Wire::Shared, OWN_COMMITS),
        (&[BuildOnTheSource, ForgetWhenDown], Wire::Shared, A_FAILOVER),
        (&[KeepWhatIsTracked, ServeFromTheSource], Wire::Apart, A_CUT),
        (&[JoinCleanLoads], Wire::Apart, AN_ENDING),
        (&[JoinUnderLease], Wire::Apart, AN_ENDING),
        (&[NoticesDrop], Wire::Shared, LATE_NOTICES),
        (&[NoticesSpoil], Wire::Apart, LATE_NOTICES),
        (&[DoubtWrites], Wire::Shared, GIVING_UP),
        (&[LeaseFromSending], Wire::Shared, AN_ENDING),
        (&[ToldNoticesSpoil], Wire::Told, LATE_NOTICES),
        // What the store must not tell.
        (&[], Wire::Careless, AN_END_THAT_IS_READ),
    ];
    let needless: Vec<_> = needed
        .iter()
        .filter(|(rules, wire, scene)| explore(*wire, *scene, rules).is_ok())
        .map(|(rules, wire, _)| (rules, wire))
        .collect();
    assert!(needless.is_empty(), "leaving these out broke nothing: {needless:?}");
}

/// Touches keep the version: of two that were built on one record, neither has the other, and what
/// is in the store has both.
#[test]
fn of_two_touches_built_on_one_record_none_is_kept_alone() {
    let mut world = World::new(Wire::Shared, NOTHING, &[]);
    let (machine, source) = (&mut world.machine, world.source);
    let load = machine.send(key(), source, Duration::ZERO);
    machine.brought(load, record((1, 0)), Duration::ZERO);
    let base = record((1, 0)).mark;
    let touches = [1, 2].map(|_| machine.send(key(), source, Duration::ZERO));
    for (content, touch) in [1, 2].into_iter().zip(touches) {
        let built = Some((base, record((1, content))));
        machine.committed(touch, 1, built, Duration::ZERO);
    }
    assert!(machine.base(&key(), source).is_none());
}
