//! What the register keeps and finds, over a real server: before anything is made of it.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use cloakroom_core::store::{Due, Held, Label, Place, Put, Register, Swapped};
use cloakroom_core::{Key, Kind, Timestamp};
use cloakroom_mongodb::MongoRegister;
use futures_util::FutureExt;
use mongodb::bson::{Document, doc};
use support::Own;
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn key() -> Key {
    Key::random(Kind::Session)
}

/// Bytes of a place that lives until then, is over from then on and lapses then.
fn put_with(label: Label, content: &[u8]) -> Put {
    let mut bytes = BytesMut::new();
    bytes.put_u8(1);
    for at in [label.alive_until, label.over_from, label.lapses_at] {
        bytes.put_u64(at.millis());
    }
    bytes.extend_from_slice(content);
    let put = Put { bytes: bytes.freeze(), forget_after: None };
    assert_eq!(put.label(), label, "this is how a label is written");
    put
}

fn put(content: &[u8]) -> Put {
    put_with(Label { alive_until: Timestamp::MAX, ..Label::default() }, content)
}

async fn held(register: &MongoRegister, place: Place) -> Option<Held> {
    register.get(place).await.expect("it answers")
}

async fn swap(
    register: &MongoRegister,
    place: Place,
    from: Option<&Held>,
    to: Option<&Put>,
) -> Swapped {
    register.swap(place, from, to).await.expect("it answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_changes_what_is_known_and_tells_what_is_there_otherwise() {
    let database = Own::new().await;
    let register = database.register().await;
    for place in [Place::Record(key()), Place::of_principal("alice")] {
        let (one, two, three) = (put(b"one"), put(b"two"), put(b"three"));
        assert_eq!(held(&register, place).await, None);
        assert_eq!(swap(&register, place, None, None).await, Swapped::Done);
        assert_eq!(swap(&register, place, None, Some(&one)).await, Swapped::Done);
        let first = held(&register, place).await.expect("it is there");
        assert_eq!(first.bytes, one.bytes);
        let found = Swapped::Found(Some(first.clone()));
        assert_eq!(swap(&register, place, None, Some(&two)).await, found);
        assert_eq!(swap(&register, place, None, None).await, found);
        assert_eq!(swap(&register, place, Some(&first), Some(&two)).await, Swapped::Done);

        let second = held(&register, place).await.expect("it is there");
        let found = Swapped::Found(Some(second.clone()));
        assert_eq!(swap(&register, place, Some(&first), Some(&three)).await, found);
        assert_eq!(swap(&register, place, Some(&first), None).await, found);
        let by_bytes = |bytes: &Bytes| Held { bytes: bytes.clone(), revision: None };
        let old = by_bytes(&first.bytes);
        assert_eq!(swap(&register, place, Some(&old), Some(&three)).await, found);
        assert_eq!(swap(&register, place, Some(&old), None).await, found);
        let known = by_bytes(&second.bytes);
        assert_eq!(swap(&register, place, Some(&known), Some(&three)).await, Swapped::Done);

        let third = held(&register, place).await.expect("it is there");
        assert_ne!(third.revision, second.revision);
        assert_eq!(swap(&register, place, Some(&third), None).await, Swapped::Done);
        let nothing = Swapped::Found(None);
        assert_eq!(swap(&register, place, Some(&third), None).await, nothing);
        assert_eq!(swap(&register, place, Some(&third), Some(&one)).await, nothing);
        assert_eq!(swap(&register, place, Some(&known), Some(&one)).await, nothing);
        assert_eq!(held(&register, place).await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_come_back_have_another_revision() {
    let database = Own::new().await;
    let register = database.register().await;
    let place = Place::Record(key());
    let mut revisions = Vec::new();
    for _ in 0..3 {
        assert_eq!(swap(&register, place, None, Some(&put(b"same"))).await, Swapped::Done);
        let there = held(&register, place).await.expect("it is there");
        assert!(!revisions.contains(&there.revision));
        revisions.push(there.revision);
        assert_eq!(swap(&register, place, Some(&there), None).await, Swapped::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_swap_of_many_at_once_is_lost() {
    const WRITERS: u64 = 16;
    const TIMES: u64 = 5;
    let database = Own::new().await;
    let register = Arc::new(database.register().await);
    // They begin with nothing there, so that creating it is part of the race.
    let place = Place::Record(key());
    let count = |held: &Held| u64::from_be_bytes(*held.bytes.last_chunk().expect("a number"));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let register = Arc::clone(&register);
        writers.spawn(async move {
            let mut known: Option<Held> = None;
            for _ in 0..TIMES {
                loop {
                    let next = put(&(known.as_ref().map_or(0, count) + 1).to_be_bytes());
                    match swap(&register, place, known.as_ref(), Some(&next)).await {
                        Swapped::Found(found) => known = found,
                        Swapped::Done => {
                            let by_bytes = Held { bytes: next.bytes, revision: None };
                            // Every other writer tells what it knows by its revision.
                            known = match writer % 2 {
                                0 => Some(by_bytes),
                                _ => held(&register, place).await,
                            };
                            break;
                        }
                    }
                }
            }
        });
    }
    writers.join_all().await;
    let there = held(&register, place).await.expect("it is there");
    assert_eq!(count(&there), WRITERS * TIMES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_is_given_up_happens_whole_or_not_at_all() {
    let database = Own::new().await;
    let register = database.register().await;
    for _ in 0..20 {
        let place = Place::Record(key());
        let to = put(&[7; 10_000]);
        assert!(register.swap(place, None, Some(&to)).now_or_never().is_none());
        if let Some(there) = held(&register, place).await {
            assert_eq!(there.bytes, to.bytes);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_and_strange_bytes_come_back_as_they_were() {
    let database = Own::new().await;
    let register = database.register().await;
    let every: Vec<u8> = (0..=u8::MAX).collect();
    for content in [vec![0; 3_000_000], b"$$ROOT".to_vec(), every, Vec::new()] {
        let (place, put) = (Place::Record(key()), put(&content));
        assert_eq!(swap(&register, place, None, Some(&put)).await, Swapped::Done);
        let known = Held { bytes: put.bytes.clone(), revision: None };
        assert_eq!(held(&register, place).await.map(|held| held.bytes), Some(put.bytes.clone()));
        assert_eq!(swap(&register, place, Some(&known), Some(&put)).await, Swapped::Done);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_found_with_the_longest_due_first() {
    let database = Own::new().await;
    let register = database.register().await;
    let at = |seconds| NOW + Duration::from_secs(seconds);
    let mut keys = Vec::new();
    for (over_from, lapses_at) in
        [(at(2), Timestamp::MAX), (at(0), at(3)), (at(1), at(1)), (Timestamp::MAX, at(9))]
    {
        let key = key();
        let label = Label { alive_until: over_from, over_from, lapses_at };
        let put = put_with(label, b"");
        assert_eq!(swap(&register, Place::Record(key), None, Some(&put)).await, Swapped::Done);
        keys.push(key);
    }
    let seats = Place::of_principal("alice");
    assert_eq!(swap(&register, seats, None, Some(&put(b""))).await, Swapped::Done);
    let due = async |what, limit, now| {
        let due = register.due(what, limit, now).await.expect("it answers");
        assert!(due.iter().all(|(_, held)| held.label().is_some_and(|it| it.is_due(what, now))));
        due.into_iter().map(|(key, _)| key).collect::<Vec<Key>>()
    };
    assert_eq!(due(Due::Over, 9, at(1)).await, [keys[1], keys[2]]);
    assert_eq!(due(Due::Over, 1, at(9)).await, [keys[1]]);
    assert_eq!(due(Due::Over, 9, at(9)).await, [keys[1], keys[2], keys[0]]);
    assert_eq!(due(Due::Lapsed, 9, at(3)).await, [keys[2], keys[1]]);
    assert_eq!(due(Due::Over, 0, at(9)).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_living_of_a_kind_are_counted_and_paged() {
    let database = Own::new().await;
    let register = database.register().await;
    let mut keys = Vec::new();
    for (kind, alive_until) in [
        (Kind::Session, NOW),
        (Kind::Session, NOW + Duration::from_secs(1)),
        (Kind::Session, Timestamp::MAX),
        (Kind::Session, Timestamp::MAX),
        (Kind::Flow, Timestamp::MAX),
        (Kind::Throttle, Timestamp::MAX),
    ] {
        let key = Key::random(kind);
        let put = put_with(Label { alive_until, ..Label::default() }, b"");
        assert_eq!(swap(&register, Place::Record(key), None, Some(&put)).await, Swapped::Done);
        keys.push(key);
    }
    let seats = Place::of_principal("alice");
    assert_eq!(swap(&register, seats, None, Some(&put(b""))).await, Swapped::Done);
    assert_eq!(register.count(Kind::Session, NOW).await.expect("it answers"), 3);
    assert_eq!(register.count(Kind::Ticket, NOW).await.expect("it answers"), 0);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = register.page(Kind::Session, after, 2, NOW).await.expect("it answers");
        assert!(page.len() <= 2);
        let Some(last) = page.last() else {
            break;
        };
        after = Some(*last);
        paged.extend(page);
    }
    paged.sort();
    let mut living = keys[1..4].to_vec();
    living.sort();
    assert_eq!(paged, living);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_told_when_to_forget_by_its_own_clock() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let database = Own::new().await;
    let register = database.register().await;
    let place = Place::Record(key());
    let to = Put { forget_after: Some(DAY), ..put(b"") };
    assert_eq!(swap(&register, place, None, Some(&to)).await, Swapped::Done);
    let collection = support::database(database.url()).await.collection::<Document>("cloakroom");
    let document = collection.find_one(doc! { "_id": place.to_string() }).await;
    let document = document.expect("it answers").expect("it is there");
    let forgets = document.get_datetime("forget_at").expect("a time").timestamp_millis();
    let clock = register.clock().await.expect("it answers").expect("it has one");
    let after = Timestamp::from_millis(forgets.try_into().expect("positive")).since(clock);
    assert!((DAY - Duration::from_secs(60)..=DAY + Duration::from_secs(3600)).contains(&after));
    let indexes = collection.list_index_names().await.expect("it answers");
    assert_eq!(indexes.len(), 5, "{indexes:?}");

    // What never ends is not forgotten, and a document of nobody's is replaced.
    let there = held(&register, place).await;
    assert_eq!(swap(&register, place, there.as_ref(), Some(&put(b""))).await, Swapped::Done);
    let document = collection.find_one(doc! { "_id": place.to_string() }).await;
    assert!(!document.expect("it answers").expect("it is there").contains_key("forget_at"));
    let other = Place::Record(key());
    let inserted = collection.insert_one(doc! { "_id": other.to_string(), "a": 1 }).await;
    inserted.expect("it is inserted");
    assert_eq!(swap(&register, other, None, Some(&put(b"one"))).await, Swapped::Done);
    assert_eq!(held(&register, other).await.expect("it is there").bytes, put(b"one").bytes);
}
