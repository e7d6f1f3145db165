//! Many at once: every writer's work is there afterwards, and none of it twice.

use std::future::Future;
use std::sync::Arc;

use cloakroom_core::commit::Expect;
use cloakroom_core::store::Store;
use cloakroom_core::{Commit, Key, Outcome, Record};

use crate::Fixture;
use crate::samples::{Doing, START, administer, after, key, session};

/// How many write at once.
const WRITERS: usize = 64;

/// Runs all of them at once, on several threads, and returns their answers in order.
pub(super) async fn at_once<F>(all: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let tasks: Vec<_> = all.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task.await {
            Ok(answer) => answers.push(answer),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    answers
}

/// As many writers of as many fields all win, and each is one change.
pub async fn many_writers_of_many_fields_all_win(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let versions = at_once((0..WRITERS).map(|writer| {
        let store = fixture.store.clone();
        let commit = administer().set_if(&format!("w{writer}"), Expect::Absent, "1");
        async move { only_done(&store, key, &commit).await }
    }))
    .await;
    let stored = fixture.load(key, after(1)).await.expect("it lives");
    assert_eq!(stored.fields.len(), WRITERS);
    assert_eq!(stored.version, 1 + WRITERS as u64);
    let mut distinct = versions;
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), WRITERS, "every change has its own version");
}

async fn only_done(store: &Arc<dyn Store>, key: Key, commit: &Commit) -> u64 {
    let answer = store.commit(key, commit, after(1)).await;
    match answer.expect("commit is answered") {
        Outcome::Done { version } => version,
        other => panic!("expected the commit to be done, not {other:?}"),
    }
}

/// As many read-modify-writes of one number, each replayed with the record that its conflict
/// brought, count every one.
pub async fn many_increments_count_all(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    at_once((0..WRITERS).map(|_| {
        let store = fixture.store.clone();
        let read = record.clone();
        async move { increment(&store, key, read).await }
    }))
    .await;
    let stored = fixture.load(key, after(1)).await.expect("it lives");
    assert_eq!(number(&stored), WRITERS as u64);
    assert_eq!(stored.version, 1 + WRITERS as u64);
}

/// Adds one until it applies. Every conflict means that another's has applied, so a run of them
/// that is longer than there are writers is one too many.
async fn increment(store: &Arc<dyn Store>, key: Key, mut read: Record) {
    for _ in 0..=WRITERS {
        let expect = Expect::unchanged(read.fields.get("n"));
        let next = (number(&read) + 1).to_string();
        let commit = administer().set_if("n", expect, next);
        let answer = store.commit(key, &commit, after(1)).await;
        match answer.expect("commit is answered") {
            Outcome::Done { .. } => return,
            Outcome::Conflict(current) => {
                assert_ne!(
                    Expect::unchanged(current.fields.get("n")),
                    expect,
                    "a conflict brings a record that the commit's expectation does not fit"
                );
                read = (*current).clone();
            }
            other => panic!("expected done or a conflict, not {other:?}"),
        }
    }
    panic!("more conflicts than there are writers");
}

fn number(record: &Record) -> u64 {
    record.fields.get("n").map_or(0, |field| {
        let text = std::str::from_utf8(&field.bytes).expect("digits");
        text.parse().expect("a number")
    })
}

/// The same commit, sent by many at once, is applied once.
pub async fn one_commit_sent_by_many_is_applied_once(fixture: &Fixture) {
    for _ in 0..8 {
        let (key, record) = (key(), session(START));
        fixture.create(key, &record, START).await;
        let commit = administer().set("a", "1");
        let versions = at_once((0..8).map(|_| {
            let (store, commit) = (fixture.store.clone(), commit.clone());
            async move { only_done(&store, key, &commit).await }
        }))
        .await;
        assert_eq!(versions, [2; 8]);
        let stored = fixture.load(key, after(1)).await.expect("it lives");
        assert_eq!(stored.version, 2);
    }
}
