//! Commits: what they require, what they change, and that one sent twice is applied once.

use std::sync::Arc;

use cloakroom_core::commit::{Expect, Limit};
use cloakroom_core::record::CommitId;
use cloakroom_core::{Outcome, Record};

use crate::Fixture;
use crate::samples::{Doing, ROOM, START, administer, after, field, key, session, visit};

/// Two that write different fields both win, whatever they had read.
pub async fn disjoint_writes_both_win(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let one = visit(&record).set_if("cart", Expect::Absent, "[1]");
    let other = visit(&record).set_if("name", Expect::Absent, "\"a\"");
    assert_eq!(fixture.done(key, &one, after(1)).await, 2);
    assert_eq!(fixture.done(key, &other, after(2)).await, 3);
    let stored = fixture.load(key, after(3)).await.expect("it lives");
    assert_eq!(stored.fields.get("cart").unwrap().version, one.id);
    assert_eq!(&stored.fields.get("cart").unwrap().bytes[..], b"[1]");
    assert_eq!(stored.fields.get("name").unwrap().version, other.id);
    assert_eq!(&stored.fields.get("name").unwrap().bytes[..], b"\"a\"");
}

/// Every expectation is met where it holds, and is a conflict where it does not. A conflict
/// brings the current record and applies nothing.
pub async fn expectations_are_kept(fixture: &Fixture) {
    let key = key();
    let mut record = session(START);
    let there = field("1");
    record.fields.insert("there".to_owned(), there.clone());
    fixture.create(key, &record, START).await;
    let stale = CommitId::random();
    for (name, expect, holds) in [
        ("there", Expect::Any, true),
        ("there", Expect::Absent, false),
        ("there", Expect::Version(stale), false),
        ("absent", Expect::Any, true),
        ("absent", Expect::Absent, false),
        ("none", Expect::Version(there.version), false),
        ("none", Expect::Absent, true),
    ] {
        let commit = visit(&record).set("beside", "1").set_if(name, expect, "2");
        let before = record.clone();
        record = fixture.follow(key, &before, &commit, after(1)).await;
        assert_eq!(record != before, holds, "{name} {expect:?}");
    }
    let version = record.fields.get("there").unwrap().version;
    let commit = visit(&record).set_if("there", Expect::Version(version), "3");
    assert!(matches!(fixture.commit(key, &commit, after(2)).await, Outcome::Done { .. }));
}

/// A conflict applies nothing of a commit, whatever else is in it, a touch included.
pub async fn a_conflict_applies_nothing(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let mut commit = visit(&record)
        .set("a", "1")
        .set_if("b", Expect::Version(CommitId::random()), "2")
        .signing_in("alice", None)
        .touching();
    commit.idle = Some(None);
    commit.ends_at = Some(None);
    assert_eq!(
        fixture.commit(key, &commit, after(1)).await,
        Outcome::Conflict(Arc::new(record.clone()))
    );
    assert_eq!(fixture.load(key, after(1)).await, Some(record));
}

/// A field that is removed is gone, and can be written again; removing one that is not there
/// changes nothing.
pub async fn a_field_is_removed(fixture: &Fixture) {
    let key = key();
    let mut record = session(START);
    for name in ["a", "b"] {
        record.fields.insert(name.to_owned(), field(name));
    }
    fixture.create(key, &record, START).await;
    let version = record.fields.get("a").unwrap().version;
    let removed = visit(&record).remove_if("a", Expect::Version(version));
    record = fixture.follow(key, &record, &removed, after(1)).await;
    assert!(!record.fields.contains_key("a"));
    record = fixture.follow(key, &record, &visit(&record).remove("a"), after(1)).await;
    assert_eq!(record.version, 2, "removing nothing changes nothing");
    let last = visit(&record).remove("b");
    record = fixture.follow(key, &record, &last, after(1)).await;
    assert!(record.fields.is_empty(), "no field is left");
    let again = visit(&record).set_if("a", Expect::Absent, "");
    record = fixture.follow(key, &record, &again, after(1)).await;
    assert_eq!(record.fields.get("a").unwrap().version, again.id);
}

/// A commit to a key that has no record is gone, and creates nothing.
pub async fn a_commit_creates_nothing(fixture: &Fixture) {
    let key = key();
    for commit in [
        administer(),
        administer().touching(),
        administer().set("a", "1").signing_in("alice", Some(1)),
        visit(&session(START)).set_if("a", Expect::Absent, "1"),
    ] {
        assert_eq!(fixture.commit(key, &commit, START).await, Outcome::Gone);
        assert_eq!(fixture.load(key, START).await, None);
    }
}

/// A version grows by one with each change. An empty commit and a touch leave it alone.
pub async fn versions_grow_with_changes_only(fixture: &Fixture) {
    let (key, mut record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let mut longer = administer();
    longer.ends_at = Some(record.ends_at);
    let steps = [
        (administer(), 1),
        (administer().touching(), 1),
        (administer().set("a", "1").set("b", "2"), 2),
        (administer().set("a", "1"), 3),
        (administer().remove("absent"), 3),
        (longer, 4),
        (administer().signing_in("alice", None), 5),
    ];
    for (step, (commit, version)) in (1..).zip(steps) {
        record = fixture.follow(key, &record, &commit, after(step)).await;
        assert_eq!(record.version, version, "after step {step}");
    }
}

/// Versions count exactly as far as a store's numbers go.
pub async fn large_versions_are_exact(fixture: &Fixture) {
    for version in [99_999_999_999_999, (1 << 53) - 2] {
        let (key, mut record) = (key(), session(START));
        record.version = version;
        fixture.create(key, &record, START).await;
        let commit = visit(&record).set("a", "1");
        assert_eq!(fixture.done(key, &commit, after(1)).await, version + 1);
        let stored = fixture.load(key, after(1)).await.expect("it lives");
        assert_eq!(stored.version, version + 1);
    }
}

/// A commit that is sent twice is applied once.
pub async fn a_resent_commit_is_applied_once(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let commit = visit(&record).set_if("a", Expect::Absent, "1").touching();
    let done = fixture.follow(key, &record, &commit, after(1)).await;
    let again = fixture.follow(key, &done, &commit, after(2)).await;
    assert_eq!(again, done);
    assert_eq!(again.version, 2);
}

/// A commit that is sent again after others wrote other fields is done already: it undoes nothing,
/// not even what a field of its own has become since.
pub async fn a_late_resend_undoes_nothing(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let first = visit(&record).set("a", "1").set("b", "1");
    let others = visit(&record).set("b", "2").set("c", "2");
    let mut now = fixture.follow(key, &record, &first, after(1)).await;
    now = fixture.follow(key, &now, &others, after(2)).await;
    assert_eq!(fixture.done(key, &first, after(3)).await, 3);
    assert_eq!(fixture.load(key, after(3)).await, Some(now));
}

/// A commit beyond a limit is refused by that limit, and changes nothing.
pub async fn limits_refuse(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let fits = visit(&record).set("a", "12").set("é", "1").within(2, 6);
    let mut record = fixture.follow(key, &record, &fits, after(1)).await;
    assert_eq!((record.fields.len(), record.size()), (2, 6));
    let many = visit(&record).set("c", "").touching().within(2, 100);
    let large = visit(&record).set("a", "123").signing_in("a", None);
    for (commit, limit) in
        [(many, Limit::Fields { most: 2 }), (large.within(2, 6), Limit::Bytes { most: 6 })]
    {
        let outcome = fixture.commit(key, &commit, after(2)).await;
        assert_eq!(outcome, Outcome::Refused(limit));
        record = fixture.follow(key, &record, &commit, after(2)).await;
        assert_eq!(record.principal, None, "nothing was applied");
    }
}

/// A commit that makes a record smaller passes, though the record stays over a limit.
pub async fn shrinking_passes_a_limit(fixture: &Fixture) {
    let (key, mut record) = (key(), session(START));
    for name in ["a", "b", "c", "d"] {
        record.fields.insert(name.to_owned(), field("1234567890"));
    }
    fixture.create(key, &record, START).await;
    for commit in [
        visit(&record).remove("a").within(1, 1_000),
        visit(&record).set("b", "123").within(9, 1),
        visit(&record).set("c", "0987654321").within(1, 1),
        visit(&record).remove("d").set("e", "1").within(1, 1),
    ] {
        let before: Record = record.clone();
        record = fixture.follow(key, &record, &commit, after(1)).await;
        assert!(record.version > before.version, "{commit:?} passes");
    }
    let grows = visit(&record).set("f", "1").within(1, ROOM.bytes);
    let outcome = fixture.commit(key, &grows, after(1)).await;
    assert_eq!(outcome, Outcome::Refused(Limit::Fields { most: 1 }));
}
