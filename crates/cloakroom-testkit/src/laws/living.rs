//! Deadlines: what is over is gone, and a use moves them.

use std::time::Duration;

use cloakroom_core::store::Keep;
use cloakroom_core::{Guard, Key, Outcome, Record, Timestamp};

use crate::Fixture;
use crate::samples::{
    Doing, IDLE, LIFETIME, START, administer, after, after_millis, key, session, visit,
};

/// Checks that a record is there at the last instant of its life, and at the next is not.
async fn ends_at(fixture: &Fixture, key: Key, record: &Record, deadline: Timestamp) {
    let last = Timestamp::from_millis(deadline.millis() - 1);
    assert_eq!(fixture.load(key, last).await.as_ref(), Some(record));
    assert_eq!(fixture.load(key, deadline).await, None);
}

/// A record that is over loads as none, commits as gone and cannot be ended; an instant before it
/// still is there.
pub async fn what_is_over_is_gone(fixture: &Fixture) {
    let idle = session(START);
    let mut lifetime = session(START);
    lifetime.idle = None;
    let both = [(idle, START + IDLE), (lifetime, START + LIFETIME)];
    for (record, deadline) in both {
        let key = key();
        fixture.create(key, &record, START).await;
        ends_at(fixture, key, &record, deadline).await;
        let late = visit(&record).set("a", "1").touching();
        assert_eq!(fixture.commit(key, &late, deadline).await, Outcome::Gone);
        let check = administer();
        assert_eq!(fixture.commit(key, &check, deadline).await, Outcome::Gone);
        assert_eq!(fixture.end(key, &Guard::None, deadline).await, None);
        ends_at(fixture, key, &record, deadline).await;
    }
}

/// A record without a deadline never is over.
pub async fn what_has_no_deadline_stays(fixture: &Fixture) {
    let (key, record) = (key(), Record::new(None, START));
    fixture.create(key, &record, START).await;
    let late = START + Duration::from_secs(100 * 365 * 24 * 60 * 60);
    assert_eq!(fixture.load(key, late).await, Some(record.clone()));
    assert_eq!(fixture.expire_all(Keep::Nothing, late).await, []);
    fixture.follow(key, &record, &administer().set("a", "1"), late).await;
}

/// A touch moves the deadline: what sweeps at the old one does not take the record.
pub async fn a_touch_moves_the_deadline(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let touch = visit(&record).touching();
    let record = fixture.follow(key, &record, &touch, after(60)).await;
    assert_eq!(record.touched_at, after(60));
    assert_eq!(fixture.expire_all(Keep::Nothing, START + IDLE).await, []);
    ends_at(fixture, key, &record, after(60) + IDLE).await;
}

/// A commit without a touch moves no deadline.
pub async fn a_commit_alone_is_no_use(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let commit = visit(&record).set("a", "1");
    let record = fixture.follow(key, &record, &commit, after(60)).await;
    assert_eq!(record.touched_at, START);
    ends_at(fixture, key, &record, START + IDLE).await;
}

/// A touch with an earlier clock never takes the last use back.
pub async fn the_last_use_never_goes_back(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let touch = visit(&record).touching();
    let record = fixture.follow(key, &record, &touch, after(10)).await;
    let late = visit(&record).touching().set("a", "1");
    let record = fixture.follow(key, &record, &late, after(5)).await;
    assert_eq!(record.touched_at, after(10));
    let again = fixture.follow(key, &record, &touch, after(5)).await;
    assert_eq!(again, record);
}

/// A commit sets and lifts the idle timeout and the end.
pub async fn terms_are_changed(fixture: &Fixture) {
    let (key, mut record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let shorter = Duration::from_millis(90_001);
    for (idle, end, deadline) in [
        (Some(Some(shorter)), None, Some(after_millis(90_001))),
        (Some(None), None, Some(START + LIFETIME)),
        (None, Some(Some(after(120))), Some(after(120))),
        (None, Some(None), None),
        (Some(Some(shorter)), Some(Some(after(80))), Some(after(80))),
    ] {
        let mut commit = visit(&record);
        (commit.idle, commit.ends_at) = (idle, end);
        record = fixture.follow(key, &record, &commit, after(1)).await;
        assert_eq!(record.deadline(), deadline);
        if let Some(deadline) = deadline {
            ends_at(fixture, key, &record, deadline).await;
        }
    }
    assert_eq!(fixture.expire_all(Keep::Nothing, after(79)).await, []);
    let expired = fixture.expire_all(Keep::Nothing, after(80)).await;
    assert_eq!(expired.len(), 1, "the sweep knows the latest deadline");
}

/// A commit may end a record at once: from then on it is over.
pub async fn terms_may_end_a_record(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let mut commit = visit(&record);
    commit.ends_at = Some(Some(after(1)));
    fixture.follow(key, &record, &commit, after(1)).await;
    let answer = fixture.commit(key, &administer(), after(1)).await;
    assert_eq!(answer, Outcome::Gone);
    let expired = fixture.expire_all(Keep::Nothing, after(1)).await;
    assert_eq!(expired.len(), 1);
}
