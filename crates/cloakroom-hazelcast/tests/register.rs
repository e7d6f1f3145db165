//! The register by itself, on a real cluster of two members: what it answers, what it costs nobody,
//! and what it says where it cannot.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::store::{Due, Held, Place, Put, Register, Swapped};
use cloakroom_core::token::Kind;
use cloakroom_core::{Key, Timestamp};
use cloakroom_hazelcast::{HazelcastRegister, Options};
use cloakroom_testkit::servers::Hazelcast;
use futures_util::future::join_all;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// Time enough for a machine that has a lot else to do.
fn patient() -> Options {
    let call_timeout = Duration::from_secs(10);
    Options { connect_timeout: Duration::from_secs(20), call_timeout }
}

async fn register() -> HazelcastRegister {
    let cluster = Hazelcast::shared().await;
    let url = cluster.url(&cluster.new_map());
    HazelcastRegister::connect(&url, patient()).await.expect("it can be used")
}

/// Bytes with a label in front.
fn put(alive: Timestamp, over: Timestamp, content: &[u8]) -> Put {
    let mut bytes = vec![1];
    for instant in [alive, over, Timestamp::MAX] {
        bytes.extend(instant.millis().to_be_bytes());
    }
    bytes.extend(content);
    Put { bytes: bytes.into(), forget_after: None }
}

fn some(content: &[u8]) -> Put {
    put(NOW, Timestamp::MAX, content)
}

fn record() -> Place {
    Place::Record(Key::random(Kind::Session))
}

fn by_bytes(put: &Put) -> Held {
    Held { bytes: put.bytes.clone(), revision: None }
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_place_is_swapped_by_who_knows_what_is_in_it() {
    let register = register().await;
    for place in [record(), Place::of_principal("alice")] {
        let (one, two) = (some(b"one"), some(b"two"));
        assert_eq!(register.get(place).await.unwrap(), None);
        assert_eq!(register.swap(place, None, Some(&one)).await.unwrap(), Swapped::Done);
        let held = register.get(place).await.unwrap().expect("it is there");
        assert_eq!(held.bytes, one.bytes);
        let found = Swapped::Found(Some(held.clone()));
        assert_eq!(register.swap(place, None, Some(&two)).await.unwrap(), found);
        assert_eq!(register.swap(place, Some(&by_bytes(&two)), Some(&one)).await.unwrap(), found);
        assert_eq!(register.swap(place, Some(&by_bytes(&two)), None).await.unwrap(), found);
        assert_eq!(register.swap(place, None, None).await.unwrap(), found);
        assert_eq!(register.swap(place, Some(&held), Some(&two)).await.unwrap(), Swapped::Done);
        assert_eq!(register.swap(place, Some(&by_bytes(&two)), None).await.unwrap(), Swapped::Done);
        assert_eq!(register.get(place).await.unwrap(), None);
        let nothing = Swapped::Found(None);
        assert_eq!(register.swap(place, Some(&held), Some(&two)).await.unwrap(), nothing);
        assert_eq!(register.swap(place, Some(&held), None).await.unwrap(), nothing);
        assert_eq!(register.swap(place, None, None).await.unwrap(), Swapped::Done);
    }
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_big_value_is_kept() {
    let register = register().await;
    let place = record();
    let big = some(&vec![7; 1 << 20]);
    assert_eq!(register.swap(place, None, Some(&big)).await.unwrap(), Swapped::Done);
    assert_eq!(register.get(place).await.unwrap().expect("it is there").bytes, big.bytes);
}

/// Adds one to the number in a place, however often somebody comes between.
async fn increment(register: &HazelcastRegister, place: Place) {
    let mut held = register.get(place).await.expect("it is answered");
    loop {
        let number = held.as_ref().map_or(0, |held| {
            u64::from_be_bytes(*held.bytes.last_chunk().expect("a number is there"))
        });
        let next = some(&(number + 1).to_be_bytes());
        match register.swap(place, held.as_ref(), Some(&next)).await.expect("it is answered") {
            Swapped::Done => return,
            Swapped::Found(found) => held = found,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn of_many_swaps_of_one_place_none_is_lost() {
    let (register, place) = (Arc::new(register().await), record());
    let tasks = (0..16).map(|_| {
        let register = Arc::clone(&register);
        tokio::spawn(async move {
            for _ in 0..10 {
                increment(&register, place).await;
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(|task| task.expect("no task panics"));
    let held = register.get(place).await.unwrap().expect("it is there");
    assert_eq!(held.bytes.last_chunk(), Some(&160_u64.to_be_bytes()));
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn what_is_due_is_found_and_nothing_else() {
    let register = register().await;
    let at = |millis| Timestamp::from_millis(millis);
    let mut due = HashSet::new();
    for n in 0..30 {
        let (key, over) =
            (Key::random(Kind::Session), if n < 20 { 900_000 + n } else { 1_000_001 });
        let _ = register.swap(Place::Record(key), None, Some(&put(at(over), at(over), b"x"))).await;
        if n < 20 {
            due.insert(key);
        }
    }
    let never = some(b"never");
    let _ = register.swap(record(), None, Some(&never)).await.unwrap();
    let _ = register.swap(Place::of_principal("alice"), None, Some(&never)).await.unwrap();
    assert_eq!(register.due(Due::Lapsed, 100, NOW).await.unwrap(), []);
    assert_eq!(register.due(Due::Over, 0, NOW).await.unwrap(), []);
    assert_eq!(register.due(Due::Over, 7, NOW).await.unwrap().len(), 7);
    let found = register.due(Due::Over, 100, NOW).await.unwrap();
    assert_eq!(found.iter().map(|(key, _)| *key).collect::<HashSet<_>>(), due);
    for (key, held) in found {
        assert_eq!(
            register.swap(Place::Record(key), Some(&held), None).await.unwrap(),
            Swapped::Done
        );
    }
    assert_eq!(register.due(Due::Over, 100, NOW).await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn living_keys_are_paged_through_and_counted() {
    let register = register().await;
    let mut living = HashSet::new();
    for n in 0..60 {
        let kind = if n % 3 == 0 { Kind::Flow } else { Kind::Session };
        let key = Key::random(kind);
        let alive = Timestamp::from_millis(if n % 5 == 0 { 999_999 } else { 2_000_000 });
        let _ = register.swap(Place::Record(key), None, Some(&put(alive, alive, b"x"))).await;
        if kind == Kind::Session && alive > NOW {
            living.insert(key);
        }
    }
    let _ = register.swap(Place::of_principal("alice"), None, Some(&some(b"x"))).await.unwrap();
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = register.page(Kind::Session, after, 7, NOW).await.unwrap();
        assert!(page.len() <= 7, "a page has its limit");
        let Some(last) = page.last() else { break };
        after = Some(*last);
        paged.extend(page);
    }
    assert_eq!(paged.len(), living.len(), "none is told twice");
    assert_eq!(paged.into_iter().collect::<HashSet<_>>(), living);
    assert_eq!(register.count(Kind::Session, NOW).await.unwrap(), living.len() as u64);
    assert_eq!(register.count(Kind::Ticket, NOW).await.unwrap(), 0);
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn what_is_to_be_forgotten_is_forgotten_by_the_cluster() {
    let register = register().await;
    let place = record();
    let brief = Put { forget_after: Some(Duration::from_secs(1)), ..some(b"brief") };
    let _ = register.swap(place, None, Some(&brief)).await.unwrap();
    let forgotten = async {
        while register.get(place).await.expect("it is answered").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), forgotten).await.expect("it is forgotten");
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_swap_keeps_what_was_to_be_forgotten() {
    let register = register().await;
    let place = record();
    let brief = Put { forget_after: Some(Duration::from_secs(5)), ..some(b"brief") };
    let other = record();
    for at in [place, other] {
        let _ = register.swap(at, None, Some(&brief)).await.unwrap();
    }
    let kept = some(b"kept");
    let swapped = register.swap(place, Some(&by_bytes(&brief)), Some(&kept)).await.unwrap();
    assert_eq!(swapped, Swapped::Done);
    let forgotten = async {
        while register.get(other).await.expect("it is answered").is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), forgotten).await.expect("the other is forgotten");
    assert!(register.get(place).await.unwrap().is_some(), "this one stays");
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn what_is_none_of_ours_is_handed_on_as_it_is() {
    let register = register().await;
    let place = record();
    let strange = Put { bytes: Bytes::from_static(b"strange"), forget_after: None };
    let _ = register.swap(place, None, Some(&strange)).await.unwrap();
    let held = register.get(place).await.unwrap().expect("it is there");
    assert_eq!((held.bytes.as_ref(), held.label()), (&b"strange"[..], None));
    assert_eq!(register.due(Due::Over, 10, Timestamp::MAX).await.unwrap(), []);
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_dropped_swap_spoils_no_later_one() {
    let (register, place) = (register().await, record());
    for n in 0..50_u64 {
        let next = some(&n.to_be_bytes());
        let swap = register.swap(place, None, Some(&next));
        let _ = tokio::time::timeout(Duration::from_micros(n * 20), swap).await;
    }
    increment(&register, place).await;
    assert!(register.get(place).await.unwrap().is_some());
}
