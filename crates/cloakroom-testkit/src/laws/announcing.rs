//! The list of endings: nothing that has ended is forgotten before it was heard.

use std::collections::{BTreeMap, BTreeSet};

use cloakroom_core::store::{Announce, Endings, Keep};
use cloakroom_core::{Ended, Ending, Guard, Key, Kind, Timestamp};

use super::racing::at_once;
use crate::Fixture;
use crate::samples::{IDLE, START, after, field, key, session, session_of};

const REASONS: [Ended; 6] = [
    Ended::Idle,
    Ended::Lifetime,
    Ended::LoggedOut,
    Ended::Revoked,
    Ended::Displaced,
    Ended::Replaced,
];

async fn lease(endings: &dyn Endings, until: Timestamp, now: Timestamp) -> Vec<Ending> {
    let mut all = Vec::new();
    loop {
        let some = endings.lease(100, until, now).await;
        let some = some.expect("lease is answered");
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

/// Ends a new session, and leases its ending to itself until then.
async fn end_one(fixture: &Fixture, reason: Ended, until: Timestamp) -> Ending {
    let (key, mut record) = (key(), session_of("alice", START));
    record.fields.insert("cart".to_owned(), field("[1]"));
    fixture.create(key, &record, START).await;
    let announce = Announce { reason, keep: Keep::LeasedUntil(until) };
    let ended = fixture.end_as(key, &Guard::None, announce, after(1)).await;
    assert_eq!(ended.as_ref(), Some(&record));
    Ending { key, reason, record }
}

/// A store has a list of endings exactly where it says that it keeps them.
pub async fn capabilities_are_kept(fixture: &Fixture) {
    let _ = fixture.endings();
    let _ = fixture.directory();
}

/// Endings of every reason are on the list with their records, for whoever asks when the first
/// lease has lapsed and no sooner.
pub async fn endings_wait_for_their_lease(fixture: &Fixture) {
    let Some(endings) = fixture.endings() else { return };
    let mut expected = BTreeMap::new();
    for reason in REASONS {
        let ending = end_one(fixture, reason, after(30)).await;
        expected.insert(ending.key, ending);
    }
    let early = Timestamp::from_millis(after(30).millis() - 1);
    assert_eq!(lease(endings, after(90), early).await, []);
    let leased = lease(endings, after(90), after(30)).await;
    assert_eq!(leased.len(), REASONS.len(), "each comes once");
    let leased: BTreeMap<Key, Ending> = leased.into_iter().map(|e| (e.key, e)).collect();
    assert_eq!(leased, expected);
    assert_eq!(lease(endings, after(120), after(89)).await, []);
    assert_eq!(lease(endings, after(120), after(90)).await.len(), REASONS.len());
}

/// What is acknowledged never comes back; what is not does.
pub async fn acknowledged_endings_are_forgotten(fixture: &Fixture) {
    let Some(endings) = fixture.endings() else { return };
    let heard = end_one(fixture, Ended::LoggedOut, after(30)).await;
    let unheard = end_one(fixture, Ended::LoggedOut, after(30)).await;
    for key in [heard.key, heard.key, key()] {
        let answer = endings.acknowledge(key).await;
        answer.expect("acknowledge is answered");
    }
    assert_eq!(lease(endings, after(90), after(30)).await, [unheard]);
}

/// A lease takes no more than its limit, and the rest stays for others.
pub async fn a_lease_keeps_its_limit(fixture: &Fixture) {
    let Some(endings) = fixture.endings() else { return };
    for _ in 0..7 {
        end_one(fixture, Ended::Revoked, after(30)).await;
    }
    let mut seen = BTreeSet::new();
    loop {
        let some = endings.lease(3, after(90), after(30)).await;
        let some = some.expect("lease is answered");
        assert!(some.len() <= 3, "a lease takes at most its limit");
        if some.is_empty() {
            break;
        }
        for ending in some {
            assert!(seen.insert(ending.key), "{} was leased twice", ending.key);
        }
    }
    assert_eq!(seen.len(), 7);
}

/// However many ask at once, each ending is leased to one.
pub async fn many_listeners_share(fixture: &Fixture) {
    if fixture.endings().is_none() {
        return;
    }
    for _ in 0..40 {
        end_one(fixture, Ended::Revoked, after(30)).await;
    }
    let leased = at_once((0..8).map(|_| {
        let store = fixture.store.clone();
        async move {
            let endings = store.endings().expect("it had them a moment ago");
            lease(endings, after(90), after(30)).await
        }
    }))
    .await;
    let mut keys: Vec<Key> = leased.concat().into_iter().map(|e| e.key).collect();
    let rest = lease(fixture.endings().expect("it has them"), after(90), after(30)).await;
    keys.extend(rest.into_iter().map(|e| e.key));
    assert_eq!(keys.len(), 40, "each is leased once");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 40, "each is leased");
}

/// A sweep that keeps what it takes leaves each on the list, in the same step.
pub async fn expired_sessions_are_announced(fixture: &Fixture) {
    let Some(endings) = fixture.endings() else { return };
    let over = START + IDLE;
    let until = over + IDLE;
    for _ in 0..5 {
        fixture.create(key(), &session(START), START).await;
    }
    let mut expired = fixture.expire_all(Keep::LeasedUntil(until), over).await;
    assert_eq!(expired.len(), 5);
    assert_eq!(lease(endings, until + IDLE, over).await, []);
    let mut leased = lease(endings, until + IDLE, until).await;
    expired.sort_by_key(|ending| ending.key);
    leased.sort_by_key(|ending| ending.key);
    assert_eq!(leased, expired);
}

/// What need not be kept is not, and neither is what is no session.
pub async fn only_what_is_asked_for_is_announced(fixture: &Fixture) {
    let Some(endings) = fixture.endings() else { return };
    let over = START + IDLE;
    for keep in [Keep::Nothing, Keep::LeasedUntil(after(2))] {
        for kind in Kind::ALL {
            if keep != Keep::Nothing && kind == Kind::Session {
                continue;
            }
            let (ended, expired) = (Key::random(kind), Key::random(kind));
            fixture.create(ended, &session(START), START).await;
            fixture.create(expired, &session(START), START).await;
            let announce = Announce { reason: Ended::Revoked, keep };
            let ended = fixture.end_as(ended, &Guard::None, announce, after(1)).await;
            assert!(ended.is_some());
            assert_eq!(fixture.expire_all(keep, over).await.len(), 1);
        }
    }
    assert_eq!(lease(endings, over + IDLE, over + IDLE).await, []);
}

/// An ending that its guard forbids, or that finds nothing, leaves nothing on the list.
pub async fn an_ending_that_fails_is_not_announced(fixture: &Fixture) {
    let Some(endings) = fixture.endings() else { return };
    let (key, record) = (key(), session_of("alice", START));
    fixture.create(key, &record, START).await;
    let announce = Announce { reason: Ended::LoggedOut, keep: Keep::LeasedUntil(after(2)) };
    let guard = Guard::Principal("bob".to_owned());
    assert_eq!(fixture.end_as(key, &guard, announce, after(1)).await, None);
    let absent = crate::samples::key();
    assert_eq!(fixture.end_as(absent, &Guard::None, announce, after(1)).await, None);
    let over = START + IDLE;
    assert_eq!(fixture.end_as(key, &Guard::None, announce, over).await, None);
    assert_eq!(lease(endings, over, over).await, []);
}
