//! Finding records other than by key.

use std::collections::BTreeSet;

use cloakroom_core::store::{Created, Directory, Keep};
use cloakroom_core::{Guard, Key, Kind, Timestamp};

use crate::Fixture;
use crate::samples::{Doing, IDLE, START, after, field, key, session, session_of, visit};

pub(super) async fn keys_of(directory: &dyn Directory, who: &str, now: Timestamp) -> Vec<Key> {
    let listed = directory.of_principal(who, now).await;
    let listed = listed.expect("of_principal is answered");
    listed.into_iter().map(|(key, _)| key).collect()
}

/// A principal's sessions are listed whole, the oldest login first, however they were signed in;
/// ended and expired ones are not.
pub async fn a_principals_sessions_are_listed(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let mut expected = Vec::new();
    for second in [3, 1, 2] {
        let (key, mut record) = (key(), session_of("alice", after(second)));
        record.fields.insert("n".to_owned(), field(second.to_string()));
        fixture.create(key, &record, after(second)).await;
        expected.push((key, record));
    }
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let login = visit(&record).signing_in("alice", None);
    let record = fixture.follow(key, &record, &login, after(4)).await;
    expected.push((key, record));
    expected.sort_by_key(|(_, record)| record.authenticated_at);
    let listed = directory.of_principal("alice", after(5)).await;
    assert_eq!(listed.expect("of_principal is answered"), expected);
    let (ended, _) = expected.remove(1);
    assert!(fixture.end(ended, &Guard::None, after(5)).await.is_some());
    let listed = directory.of_principal("alice", after(5)).await;
    assert_eq!(listed.expect("of_principal is answered"), expected);
    assert_eq!(keys_of(directory, "alice", after(2) + IDLE).await.len(), 1);
    assert_eq!(keys_of(directory, "alice", after(3) + IDLE).await, []);
    fixture.expire_all(Keep::Nothing, after(3) + IDLE).await;
    assert_eq!(keys_of(directory, "alice", after(5)).await, []);
}

/// The list shows each session as it is now, with what commits have changed.
pub async fn the_list_is_current(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let (key, mut record) = (key(), session_of("alice", START));
    fixture.create(key, &record, START).await;
    for second in 1..4 {
        let commit = visit(&record).set("n", second.to_string()).touching();
        record = fixture.follow(key, &record, &commit, after(second)).await;
        let listed = directory.of_principal("alice", after(second)).await;
        let listed = listed.expect("of_principal is answered");
        assert_eq!(listed, [(key, record.clone())]);
    }
}

/// Principals that look alike, or like something else to a store, are kept apart.
pub async fn principals_are_apart(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let names = [
        "a", "ab", "a:b", "a b", "a ", " a", "A", "á", "a\u{301}", "{a}", "a}", "a'b", "a\"b",
        "a\\b", "a%b", "a_b", "a*", "a?", "[a]", "a\nb", "日本", "🧥", "a--", "$a", "", "s-a",
        "a;drop", "\u{7f}",
    ];
    let mut keys = Vec::new();
    for name in names {
        let key = key();
        fixture.create(key, &session_of(name, START), START).await;
        keys.push(key);
    }
    for (name, key) in names.into_iter().zip(keys) {
        assert_eq!(keys_of(directory, name, after(1)).await, [key], "{name:?}");
        let other = Guard::Principal(format!("{name}x"));
        assert_eq!(fixture.end(key, &other, after(1)).await, None, "{name:?}");
        let own = Guard::Principal(name.to_owned());
        assert!(fixture.end(key, &own, after(1)).await.is_some(), "{name:?}");
        assert_eq!(keys_of(directory, name, after(1)).await, [], "{name:?}");
    }
    assert_eq!(keys_of(directory, "nobody", after(1)).await, []);
}

/// A record of another kind that names a principal is no session of theirs: it is not listed, and
/// takes no seat.
pub async fn only_sessions_have_seats(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let record = session_of("alice", START);
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Session) {
        fixture.create(Key::random(kind), &record, START).await;
    }
    assert_eq!(keys_of(directory, "alice", START).await, []);
    let (session, ticket) = (key(), Key::random(Kind::Ticket));
    for key in [session, ticket] {
        let created = fixture.store.create(key, &record, Some(1), START).await;
        assert_eq!(created.expect("create is answered"), Created::Done { replaced: None });
    }
    assert_eq!(keys_of(directory, "alice", START).await, [session]);
}

/// Signing another in moves the session from the one's list to the other's.
pub async fn a_new_principal_moves_the_session(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let (key, record) = (key(), session_of("alice", START));
    fixture.create(key, &record, START).await;
    let bob = visit(&record).signing_in("bob", Some(1));
    let record = fixture.follow(key, &record, &bob, after(1)).await;
    assert_eq!(keys_of(directory, "alice", after(1)).await, []);
    assert_eq!(keys_of(directory, "bob", after(1)).await, [key]);
    let guard = Guard::Principal("alice".to_owned());
    assert_eq!(fixture.end(key, &guard, after(1)).await, None);
    let alice = visit(&record).signing_in("alice", None);
    fixture.follow(key, &record, &alice, after(2)).await;
    assert_eq!(keys_of(directory, "alice", after(2)).await, [key]);
    assert_eq!(keys_of(directory, "bob", after(2)).await, []);
}

/// A record that is replaced under its key leaves its principal's list.
pub async fn a_replaced_record_leaves_the_list(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let (key, record) = (key(), session_of("alice", START));
    fixture.create(key, &record, START).await;
    let now = START + IDLE;
    let created = fixture.try_create(key, &session_of("bob", now), now).await;
    let replaced = Some(Box::new(record));
    assert_eq!(created, cloakroom_core::store::Created::Done { replaced });
    assert_eq!(keys_of(directory, "alice", now).await, []);
    assert_eq!(keys_of(directory, "bob", now).await, [key]);
}

/// Pages walk the living keys of one kind, each once, and come to an end; counts agree.
pub async fn pages_and_counts_know_one_kind(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    for kind in Kind::ALL {
        assert_eq!(walk(directory, kind, START).await, BTreeSet::new());
    }
    let mut over = session(START);
    over.ends_at = Some(after(1));
    for (kind, keys) in Kind::ALL.into_iter().zip([43, 1, 7, 12, 5]) {
        let mut expected = BTreeSet::new();
        for _ in 0..keys {
            let key = Key::random(kind);
            fixture.create(key, &session(START), START).await;
            expected.insert(key);
        }
        fixture.create(Key::random(kind), &over, START).await;
        assert_eq!(walk(directory, kind, after(2)).await, expected);
        let ended = *expected.first().expect("there are keys of every kind");
        assert!(fixture.end(ended, &Guard::None, after(2)).await.is_some());
        expected.remove(&ended);
        assert_eq!(walk(directory, kind, after(2)).await, expected);
    }
}

/// Every page of a kind; checks that they are pages, and that the count agrees.
async fn walk(directory: &dyn Directory, kind: Kind, now: Timestamp) -> BTreeSet<Key> {
    let mut seen = BTreeSet::new();
    let mut after = None;
    loop {
        let page = directory.page(kind, after, 5, now).await;
        let page = page.expect("page is answered");
        assert!(page.len() <= 5, "a page holds at most its limit");
        let Some(last) = page.last() else { break };
        after = Some(*last);
        for key in page {
            assert_eq!(key.kind(), kind);
            assert!(seen.insert(key), "{key} is on two pages");
        }
    }
    let count = directory.count(kind, now).await.expect("count is answered");
    assert_eq!(count, seen.len() as u64);
    seen
}
