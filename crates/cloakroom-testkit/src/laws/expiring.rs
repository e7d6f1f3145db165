//! Sweeping: what is over is claimed once, and what is not never.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::{Created, Keep, Store};
use cloakroom_core::{Ended, Ending, Guard, Key, Kind, Outcome, Record, Timestamp};

use super::racing::at_once;
use crate::Fixture;
use crate::samples::{Doing, IDLE, LIFETIME, START, administer, after, key, session};

fn just_before(instant: Timestamp) -> Timestamp {
    Timestamp::from_millis(instant.millis() - 1)
}

/// An expired record is returned with the right reason, of every kind, and only once; an
/// unexpired one never.
pub async fn what_is_over_expires_once(fixture: &Fixture) {
    let mut expected = BTreeMap::new();
    let mut living = Vec::new();
    for kind in Kind::ALL {
        let idle = session(START);
        let mut lifetime = idle.clone();
        lifetime.idle = Some(LIFETIME);
        lifetime.ends_at = Some(START + IDLE);
        for (record, reason) in [(idle, Ended::Idle), (lifetime, Ended::Lifetime)] {
            let key = Key::random(kind);
            fixture.create(key, &record, START).await;
            expected.insert(key, (reason, record));
        }
        let key = Key::random(kind);
        let fresh = session(after(1));
        fixture.create(key, &fresh, after(1)).await;
        living.push((key, fresh));
    }
    let early = just_before(START + IDLE);
    assert_eq!(fixture.expire_all(Keep::Nothing, early).await, []);
    let expired = fixture.expire_all(Keep::Nothing, START + IDLE).await;
    assert_eq!(expired.len(), expected.len());
    assert_eq!(by_key(expired), expected);
    for (key, record) in living {
        assert_eq!(fixture.load(key, START + IDLE).await, Some(record));
    }
}

fn by_key(endings: Vec<Ending>) -> BTreeMap<Key, (Ended, Record)> {
    let entry = |ending: Ending| (ending.key, (ending.reason, ending.record));
    endings.into_iter().map(entry).collect()
}

/// What has expired is away: under its key a new record replaces nothing.
pub async fn what_has_expired_is_removed(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let over = START + IDLE;
    assert_eq!(fixture.expire_all(Keep::Nothing, over).await.len(), 1);
    assert_eq!(fixture.load(key, START).await, None);
    let created = fixture.try_create(key, &session(over), over).await;
    assert_eq!(created, Created::Done { replaced: None });
    assert_eq!(fixture.expire_all(Keep::Nothing, over).await, []);
}

/// A sweep takes no more than its limit, and leaves the rest for the next.
pub async fn a_sweep_keeps_its_limit(fixture: &Fixture) {
    for _ in 0..10 {
        fixture.create(key(), &session(START), START).await;
    }
    assert_eq!(fixture.expire(0, Keep::Nothing, START + IDLE).await, []);
    let mut seen = BTreeSet::new();
    loop {
        let some = fixture.expire(3, Keep::Nothing, START + IDLE).await;
        if some.is_empty() {
            break;
        }
        for ending in some {
            assert!(seen.insert(ending.key), "{} expired twice", ending.key);
        }
    }
    assert_eq!(seen.len(), 10);
}

/// However many sweep at once, each record goes to one of them.
pub async fn many_sweepers_share(fixture: &Fixture) {
    let mut keys = BTreeSet::new();
    for _ in 0..120 {
        let key = key();
        fixture.create(key, &session(START), START).await;
        keys.insert(key);
    }
    let claimed = at_once((0..8).map(|_| {
        let store = fixture.store.clone();
        async move {
            let mut claimed = Vec::new();
            loop {
                let some = store.expire(7, Keep::Nothing, START + IDLE).await;
                let some = some.expect("expire is answered");
                if some.is_empty() {
                    return claimed;
                }
                claimed.extend(some.into_iter().map(|ending| ending.key));
            }
        }
    }))
    .await;
    let mut claimed = claimed.concat();
    let rest = fixture.expire_all(Keep::Nothing, START + IDLE).await;
    claimed.extend(rest.into_iter().map(|ending| ending.key));
    assert_eq!(claimed.len(), keys.len(), "each is claimed once");
    assert_eq!(claimed.into_iter().collect::<BTreeSet<_>>(), keys);
}

/// Uses at the last instant race sweeps: a session lives on and was used, or it was claimed and
/// the use is gone. Never both.
pub async fn a_use_or_a_sweep_wins(fixture: &Fixture) {
    let idle = Duration::from_secs(5);
    let over = START + idle;
    for _ in 0..12 {
        let mut all = Vec::new();
        for _ in 0..24 {
            let (key, mut record) = (key(), session(START));
            record.idle = Some(idle);
            fixture.create(key, &record, START).await;
            all.push(key);
        }
        let sweepers: Vec<_> =
            (0..2).map(|_| tokio::spawn(sweep(fixture.store.clone(), over))).collect();
        let uses = at_once(all.iter().map(|key| use_it(fixture.store.clone(), *key, over))).await;
        let mut claimed = Vec::new();
        for sweeper in sweepers {
            claimed.extend(sweeper.await.expect("a sweep ends"));
        }
        claimed.extend(fixture.expire_all(Keep::Nothing, over).await);
        for (key, used) in all.into_iter().zip(uses) {
            let claims = claimed.iter().filter(|ending| ending.key == key).count();
            used_or_claimed(fixture, key, used, claims, over).await;
        }
    }
}

/// Sweeps a few times, whatever is found.
async fn sweep(store: Arc<dyn Store>, now: Timestamp) -> Vec<Ending> {
    let mut claimed = Vec::new();
    for _ in 0..8 {
        let some = store.expire(4, Keep::Nothing, now).await;
        claimed.extend(some.expect("expire is answered"));
    }
    claimed
}

/// Uses a session just before it is over; whether it was still there.
async fn use_it(store: Arc<dyn Store>, key: Key, over: Timestamp) -> bool {
    let commit = administer().set("a", "1").touching();
    let answer = store.commit(key, &commit, just_before(over)).await;
    match answer.expect("commit is answered") {
        Outcome::Done { .. } => true,
        Outcome::Gone => false,
        other => panic!("expected done or gone, not {other:?}"),
    }
}

async fn used_or_claimed(fixture: &Fixture, key: Key, used: bool, claims: usize, now: Timestamp) {
    let stored = fixture.load(key, now).await;
    if used {
        assert_eq!(claims, 0, "it was used, and claimed");
        let stored = stored.expect("it was used, and is gone");
        assert_eq!(stored.touched_at, just_before(now));
        assert!(fixture.end(key, &Guard::None, now).await.is_some());
    } else {
        assert_eq!(claims, 1, "the use was gone, so it was claimed");
        assert_eq!(stored, None, "it was claimed, and came back");
    }
}
