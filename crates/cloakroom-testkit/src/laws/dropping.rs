//! A call that is given up half-way has happened whole or not at all.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use cloakroom_core::store::{Announce, Keep};
use cloakroom_core::{Ended, Guard, Key, Record};

use super::directory::keys_of;
use crate::Fixture;
use crate::samples::{Doing, START, administer, after, field, key, session, session_of};

/// More polls than any call takes.
const MOST_POLLS: usize = 1_000;

/// A future that is given up after so many polls.
struct GivenUp<F> {
    future: Pin<Box<F>>,
    polls_left: usize,
}

impl<F: Future> Future for GivenUp<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls_left == 0 {
            return Poll::Ready(None);
        }
        self.polls_left -= 1;
        match self.future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls_left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    pin!(GivenUp { future: Box::pin(future), polls_left: polls }).await
}

/// What is stored under `key` is the one or the other.
async fn either(fixture: &Fixture, key: Key, before: Option<&Record>, then: Option<&Record>) {
    let stored = fixture.load(key, after(1)).await;
    assert!(
        stored.as_ref() == before || stored.as_ref() == then,
        "neither what was nor what was to be: {stored:?}"
    );
}

/// A commit that is given up at any of its polls is there whole or not at all.
pub async fn a_commit_given_up_is_whole_or_nothing(fixture: &Fixture) {
    for polls in 0..MOST_POLLS {
        let (key, record) = (key(), session(START));
        fixture.create(key, &record, START).await;
        let commit = administer()
            .set("a", "1")
            .set("b", vec![b'x'; 100_000])
            .signing_in("alice", None)
            .touching();
        let call = fixture.store.commit(key, &commit, after(1));
        let answer = give_up_after(polls, call).await;
        let (_, then) = record.apply(&commit, after(1));
        either(fixture, key, Some(&record), then.as_ref()).await;
        if answer.is_some() {
            either(fixture, key, then.as_ref(), then.as_ref()).await;
            return;
        }
        listed_if_there(fixture, key).await;
        let _ = fixture.end(key, &Guard::None, after(1)).await;
    }
    panic!("a commit takes more than {MOST_POLLS} polls");
}

/// A session that is signed in is on its principal's list, now and when whatever was half-way
/// has lapsed.
async fn listed_if_there(fixture: &Fixture, key: Key) {
    let signed_in = |record: Option<Record>| record.is_some_and(|r| r.principal.is_some());
    let (Some(directory), true) =
        (fixture.store.directory(), signed_in(fixture.load(key, after(1)).await))
    else {
        return;
    };
    for now in [after(1), after(600)] {
        let listed = keys_of(directory, "alice", now).await;
        assert!(listed.contains(&key), "it is signed in, and not listed");
    }
}

/// A session whose creation is given up at any of its polls is there whole or not at all.
pub async fn a_creation_given_up_is_whole_or_nothing(fixture: &Fixture) {
    for polls in 0..MOST_POLLS {
        let (key, mut record) = (key(), session_of("alice", START));
        record.fields.insert("a".to_owned(), field(vec![b'x'; 100_000]));
        let call = fixture.store.create(key, &record, Some(MOST_POLLS), after(1));
        let answer = give_up_after(polls, call).await;
        either(fixture, key, None, Some(&record)).await;
        if answer.is_some() {
            assert_eq!(fixture.load(key, after(1)).await, Some(record));
            return;
        }
        listed_if_there(fixture, key).await;
    }
    panic!("a creation takes more than {MOST_POLLS} polls");
}

/// An ending that is given up at any of its polls has ended the session whole or not at all: what
/// is gone is on the list of endings, and off its principal's.
pub async fn an_ending_given_up_is_whole_or_nothing(fixture: &Fixture) {
    let announce = Announce { reason: Ended::Revoked, keep: Keep::LeasedUntil(after(2)) };
    for polls in 0..MOST_POLLS {
        let (key, record) = (key(), session_of("alice", START));
        fixture.create(key, &record, START).await;
        let call = fixture.store.end(key, &Guard::None, announce, after(1));
        let answer = give_up_after(polls, call).await;
        either(fixture, key, Some(&record), None).await;
        if fixture.load(key, after(1)).await.is_none() {
            announced_and_unlisted(fixture, key).await;
        }
        if answer.is_some() {
            assert_eq!(fixture.load(key, after(1)).await, None);
            return;
        }
    }
    panic!("an ending takes more than {MOST_POLLS} polls");
}

async fn announced_and_unlisted(fixture: &Fixture, key: Key) {
    if let Some(endings) = fixture.store.endings() {
        let leased = endings.lease(MOST_POLLS, after(2), after(2)).await;
        let leased = leased.expect("lease is answered");
        assert!(leased.iter().any(|ending| ending.key == key), "unannounced");
    }
    if let Some(directory) = fixture.store.directory() {
        let listed = keys_of(directory, "alice", after(1)).await;
        assert!(!listed.contains(&key), "it is gone, and listed");
    }
}
