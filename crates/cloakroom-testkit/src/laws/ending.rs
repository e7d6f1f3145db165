//! Endings by key: who may, what they return, and that nothing comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cloakroom_core::commit::Rotation;
use cloakroom_core::record::Superseded;
use cloakroom_core::store::Store;
use cloakroom_core::{Guard, Key, Outcome, Record};

use super::racing::at_once;
use crate::Fixture;
use crate::samples::{Doing, START, administer, after, field, key, proof, session_of, visit};

/// An ending by each guard that holds returns the whole record; it is gone then, for a second
/// ending too.
pub async fn an_ending_returns_what_it_removed(fixture: &Fixture) {
    let mut record = session_of("alice", START);
    record.fields.insert("cart".to_owned(), field("[1]"));
    let own = record.proof.expect("a session has a secret");
    for guard in [Guard::None, Guard::Proof(own), Guard::Principal("alice".to_owned())] {
        let key = key();
        fixture.create(key, &record, START).await;
        let ended = fixture.end(key, &guard, after(1)).await;
        assert_eq!(ended.as_ref(), Some(&record), "{guard:?}");
        assert_eq!(fixture.end(key, &guard, after(1)).await, None);
        assert_eq!(fixture.load(key, after(1)).await, None);
        let late = visit(&record).set("a", "1").touching();
        assert_eq!(fixture.commit(key, &late, after(1)).await, Outcome::Gone);
        assert_eq!(fixture.load(key, after(1)).await, None);
    }
}

/// An ending by a guard that does not hold ends nothing.
pub async fn a_wrong_guard_ends_nothing(fixture: &Fixture) {
    let (key, mut record) = (key(), session_of("alice", START));
    let (settling, graced) = (proof(), proof());
    for (proof, admitted) in [(settling, false), (graced, true)] {
        record.superseded.push(Superseded { proof, until: after(60), admitted });
    }
    fixture.create(key, &record, START).await;
    for (guard, now) in [
        (Guard::Proof(proof()), after(1)),
        (Guard::Proof(settling), after(1)),
        (Guard::Proof(graced), after(60)),
        (Guard::Principal("bob".to_owned()), after(1)),
        (Guard::Principal("alic".to_owned()), after(1)),
        (Guard::Principal("Alice".to_owned()), after(1)),
        (Guard::Principal("alice ".to_owned()), after(1)),
        (Guard::Principal(String::new()), after(1)),
    ] {
        assert_eq!(fixture.end(key, &guard, now).await, None, "{guard:?}");
        assert_eq!(fixture.load(key, now).await.as_ref(), Some(&record));
    }
    let ended = fixture.end(key, &Guard::Proof(graced), after(1)).await;
    assert_eq!(ended, Some(record), "a secret in its grace ends");
}

/// Nobody's session is not the empty principal's, and no secret opens a record without one.
pub async fn nobody_is_no_principal(fixture: &Fixture) {
    let (key, record) = (key(), Record::new(None, START));
    fixture.create(key, &record, START).await;
    for guard in [Guard::Principal(String::new()), Guard::Proof(proof())] {
        assert_eq!(fixture.end(key, &guard, after(1)).await, None, "{guard:?}");
    }
    assert_eq!(fixture.load(key, after(1)).await, Some(record));
}

/// A login's old secret cannot end the session that it was replaced in.
pub async fn a_replaced_secret_ends_nothing(fixture: &Fixture) {
    let (key, record, new) = (key(), session_of("alice", START), proof());
    let old = record.proof.expect("a session has a secret");
    fixture.create(key, &record, START).await;
    let settle = Duration::from_secs(60);
    let login = visit(&record).rotating(Rotation::Replace { proof: new, settle });
    let record = fixture.follow(key, &record, &login, after(1)).await;
    assert_eq!(fixture.end(key, &Guard::Proof(old), after(2)).await, None);
    let ended = fixture.end(key, &Guard::Proof(new), after(2)).await;
    assert_eq!(ended, Some(record));
}

/// Of many that end one session at once, one gets it.
pub async fn one_of_many_ends(fixture: &Fixture) {
    for _ in 0..16 {
        let (key, record) = (key(), session_of("alice", START));
        fixture.create(key, &record, START).await;
        let ended = at_once((0..8).map(|_| {
            let store = fixture.store.clone();
            async move { end(&store, key).await }
        }))
        .await;
        let got: Vec<Record> = ended.into_iter().flatten().collect();
        assert_eq!(got, [record]);
    }
}

async fn end(store: &Arc<dyn Store>, key: Key) -> Option<Record> {
    let announce = cloakroom_core::store::Announce {
        reason: cloakroom_core::Ended::Revoked,
        keep: cloakroom_core::store::Keep::Nothing,
    };
    let answer = store.end(key, &Guard::None, announce, after(1)).await;
    answer.expect("end is answered")
}

/// Commits that race an ending are in what it returns, or are gone: none is lost, and none brings
/// the session back.
pub async fn nothing_revives_what_has_ended(fixture: &Fixture) {
    for round in 0..40 {
        let (key, record) = (key(), session_of("alice", START));
        fixture.create(key, &record, START).await;
        let race = Arc::new(Race::default());
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (store, race) = (fixture.store.clone(), race.clone());
                tokio::spawn(async move { race.write(&store, key, writer).await })
            })
            .collect();
        while race.answers.load(Ordering::SeqCst) < round {
            tokio::task::yield_now().await;
        }
        let ended = end(&fixture.store, key).await;
        race.over.store(true, Ordering::SeqCst);
        let mut written = Vec::new();
        for writer in writers {
            written.extend(writer.await.expect("a writer ends"));
        }
        let ended = ended.expect("it lived");
        for name in &written {
            assert!(ended.fields.contains_key(name), "{name} was done, and is lost");
        }
        assert_eq!(ended.fields.len(), written.len(), "one was done and said gone");
        assert_eq!(ended.version, 1 + written.len() as u64);
        assert_eq!(fixture.load(key, after(1)).await, None, "it came back");
        assert_eq!(fixture.end(key, &Guard::None, after(1)).await, None);
    }
}

/// What the writers and the one who ends know of each other.
#[derive(Default)]
struct Race {
    answers: AtomicUsize,
    over: AtomicBool,
}

impl Race {
    /// Writes field after field until the session is gone; the names that were done. What is
    /// begun after the ending must be gone.
    async fn write(&self, store: &Arc<dyn Store>, key: Key, writer: usize) -> Vec<String> {
        let mut written = Vec::new();
        loop {
            let over = self.over.load(Ordering::SeqCst);
            let name = format!("{writer}.{}", written.len());
            let commit = administer().set(&name, "1").touching();
            let answer = store.commit(key, &commit, after(1)).await;
            match answer.expect("commit is answered") {
                Outcome::Gone => return written,
                late if over => panic!("it has ended, and a commit was answered {late:?}"),
                Outcome::Done { .. } => written.push(name),
                // The record is full: any ending is long under way.
                Outcome::Refused(_) => tokio::task::yield_now().await,
                other => panic!("nothing was expected, and nobody signed in: {other:?}"),
            }
            self.answers.fetch_add(1, Ordering::SeqCst);
        }
    }
}
