//! What is put in comes out: creating and loading.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::record::{Fields, Offered, Superseded};
use cloakroom_core::store::Created;
use cloakroom_core::{Key, Kind, Outcome, Record, Timestamp};

use crate::Fixture;
use crate::samples::{Doing, START, after, field, key, proof, session, visit};

/// A record that uses everything a record can hold.
fn full() -> Record {
    let mut record = session(START);
    record.version = 7;
    record.proof_since = after(1);
    record.superseded = vec![
        Superseded { proof: proof(), until: after(60), admitted: true },
        Superseded { proof: proof(), until: after(61), admitted: false },
    ];
    record.next = Some(Offered { proof: proof(), at: after(2) });
    record.principal = Some("Zoë O'Neil \"z\" 日本".to_owned());
    record.authenticated_at = Some(after(3));
    record.touched_at = after(4);
    record.idle = Some(Duration::from_millis(1_800_001));
    record.fields = awkward_fields();
    record.unknown = BTreeMap::from([
        ("z".to_owned(), Bytes::from_static(b"\x92\xa3new\x81\xa1k\xcb\x3f\xf8\0\0\0\0\0\0")),
        ("zz".to_owned(), Bytes::from_static(b"\xc0")),
    ]);
    record
}

fn awkward_fields() -> Fields {
    let every_byte: Vec<u8> = (0..=255).collect();
    [
        ("every byte", every_byte),
        ("nothing", Vec::new()),
        ("zeros", vec![0; 4]),
        ("long", vec![b'x'; 70_000]),
        ("Ünïcode/日本 🧥", b"1".to_vec()),
        ("$a.b'\"`{c}:*?\\", b"2".to_vec()),
        ("", b"3".to_vec()),
    ]
    .into_iter()
    .map(|(name, bytes)| (name.to_owned(), field(bytes)))
    .collect()
}

/// What is created is loaded back equal, in every part, for every kind of key.
pub async fn what_is_created_is_loaded(fixture: &Fixture) {
    let mut endless = Record::new(None, START);
    endless.version = u64::from(u32::MAX) + 1;
    let mut latest = session(START);
    latest.ends_at = Some(Timestamp::MAX);
    for kind in Kind::ALL {
        for record in [full(), session(START), endless.clone(), latest.clone()] {
            let key = Key::random(kind);
            fixture.create(key, &record, after(5)).await;
            assert_eq!(fixture.load(key, after(5)).await, Some(record));
        }
    }
}

/// A commit leaves alone what it does not name, what newer versions wrote included.
pub async fn a_commit_keeps_the_rest(fixture: &Fixture) {
    let (key, record) = (key(), full());
    fixture.create(key, &record, after(5)).await;
    let commit = visit(&record).set("cart", "[]").remove("zeros").touching();
    assert_eq!(fixture.commit(key, &commit, after(6)).await, Outcome::Done { version: 8 });
    let (_, expected) = record.apply(&commit, after(6));
    assert_eq!(fixture.load(key, after(6)).await, expected);
}

/// A key that has no record reads as none.
pub async fn absent_is_none(fixture: &Fixture) {
    for kind in Kind::ALL {
        assert_eq!(fixture.load(Key::random(kind), START).await, None);
    }
}

/// The same id under two kinds is two keys.
pub async fn kinds_are_apart(fixture: &Fixture) {
    let first = key();
    for kind in Kind::ALL {
        let key = Key::from_bytes(kind, first.as_bytes()).expect("an id fits every kind");
        let mut record = session(START);
        record.fields.insert(format!("{kind:?}"), field("1"));
        fixture.create(key, &record, START).await;
        assert_eq!(fixture.load(key, START).await, Some(record));
    }
}

/// Creating under a key that has a living record stores nothing.
pub async fn a_living_key_is_not_created_again(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let mut other = session(after(1));
    other.fields.insert("cart".to_owned(), field("other"));
    assert_eq!(fixture.try_create(key, &other, after(1)).await, Created::Exists);
    assert_eq!(fixture.load(key, after(1)).await, Some(record));
}

/// Creating under a key whose record is over replaces it, and returns it.
pub async fn a_record_that_is_over_is_replaced(fixture: &Fixture) {
    let (key, old) = (key(), full());
    fixture.create(key, &old, after(5)).await;
    let now = old.deadline().expect("it has a deadline");
    let new = session(now);
    let replaced = Some(Box::new(old));
    assert_eq!(fixture.try_create(key, &new, now).await, Created::Done { replaced });
    assert_eq!(fixture.load(key, now).await, Some(new));
}

/// Of many that create under one key at once, one does.
pub async fn one_of_many_creates(fixture: &Fixture) {
    let key = key();
    let all = (0..16).map(|_| {
        let store = fixture.store.clone();
        let record = session(START);
        tokio::spawn(async move {
            let created = store.create(key, &record, None, START).await;
            (record, created.expect("create is answered"))
        })
    });
    let answers = futures_util::future::join_all(all).await;
    let mut winners = Vec::new();
    for answer in answers {
        match answer.expect("a task ends") {
            (record, Created::Done { replaced: None }) => winners.push(record),
            (_, Created::Exists) => {}
            (_, other) => panic!("expected one to create and the others not, not {other:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "one creates");
    assert_eq!(fixture.load(key, START).await, winners.pop());
}
