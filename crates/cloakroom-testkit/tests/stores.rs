//! The stores that count, fail, hang, have something happen and tell of changes do what tests rely
//! on.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::{Arc, Mutex};

use cloakroom_core::store::{Error, Feed, Notice, Notices};
use cloakroom_core::{Key, Kind, MemoryStore, Outcome, Store};
use cloakroom_testkit::samples::{Doing, START, administer, key, session};
use cloakroom_testkit::stores::{
    Call, Counting, Fail, Failing, Fed, Hanging, Hooked, Lag, Merge, Pace, Shape, lost, unreached,
};
use cloakroom_testkit::{Dice, Fixture, store_laws};

async fn wrapped() -> Fixture {
    let memory = Arc::new(MemoryStore::new());
    let failing = Arc::new(Failing::new(memory));
    let hanging = Arc::new(Hanging::new(failing));
    let hooked = Arc::new(Hooked::new(hanging));
    Fixture::new(Counting::new(hooked))
}

store_laws!(wrapped);

#[tokio::test]
async fn calls_are_counted_by_name() {
    let store = Counting::new(Arc::new(MemoryStore::new()));
    let _ = store.load(key(), START).await.unwrap();
    let _ = store.load(key(), START).await.unwrap();
    let directory = store.directory().unwrap();
    assert_eq!(directory.count(Kind::Session, START).await.unwrap(), 0);
    assert_eq!(store.count(Call::Load), 2);
    assert_eq!(store.count(Call::Count), 1);
    assert_eq!(store.count(Call::Commit), 0);
    assert_eq!(store.take().values().sum::<usize>(), 3);
    assert_eq!(store.total(), 0);
}

#[tokio::test]
async fn a_call_fails_before_or_after_the_store_acts() {
    let store = Failing::new(Arc::new(MemoryStore::new()));
    let (lost, never) = (key(), key());
    store.fail(2, Fail::After);
    assert!(store.load(lost, START).await.is_ok());
    let answer = store.create(lost, &session(START), None, START).await;
    assert!(matches!(answer, Err(Error::Unanswered(_))));
    assert!(store.load(lost, START).await.unwrap().is_some());
    store.fail_call(Call::Create, 1, Fail::Before);
    assert!(store.load(never, START).await.unwrap().is_none());
    let answer = store.create(never, &session(START), None, START).await;
    assert!(matches!(answer, Err(Error::Unreachable(_))));
    assert!(store.load(never, START).await.unwrap().is_none());
    assert_eq!(store.failed(), 2);
}

#[tokio::test]
async fn a_store_hangs_until_it_is_released() {
    let store = Hanging::new(Arc::new(MemoryStore::new()));
    store.hang();
    let call = tokio::spawn({
        let store = store.clone();
        async move { store.load(key(), START).await }
    });
    store.waiting(1).await;
    assert!(!call.is_finished());
    store.release();
    assert!(call.await.unwrap().unwrap().is_none());
}

#[tokio::test]
async fn something_happens_before_or_after_a_call_once() {
    let memory = Arc::new(MemoryStore::new());
    let store = Hooked::new(Arc::clone(&memory) as _);
    let (made, never) = (key(), key());
    let beside = Arc::clone(&memory);
    store.before(Call::Create, 1, async move {
        assert!(beside.load(made, START).await?.is_none());
        Ok(())
    });
    let beside = Arc::clone(&memory);
    store.after(Call::Create, 1, async move {
        assert!(beside.load(made, START).await?.is_some());
        Err(lost())
    });
    store.before(Call::Create, 2, async { Err(unreached()) });
    assert_eq!(store.left().len(), 3);
    let answer = store.create(made, &session(START), None, START).await;
    assert!(matches!(answer, Err(Error::Unanswered(_))));
    assert_eq!(store.left(), ["Before Create, 0 calls from now"]);
    let answer = store.create(never, &session(START), None, START).await;
    assert!(matches!(answer, Err(Error::Unreachable(_))));
    assert!(memory.load(never, START).await.unwrap().is_none());
    assert!(store.left().is_empty());
    assert!(store.create(never, &session(START), None, START).await.is_ok());
}

/// Writes down what a feed tells.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Notice>>);

impl Notices for Heard {
    fn hear(&self, notice: Notice) {
        self.0.lock().unwrap().push(notice);
    }
}

impl Heard {
    fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Two handles of one store; what the second is told of `key`, which it has read.
async fn followed() -> (Vec<Fed>, Arc<Heard>, Key) {
    let handles = Fed::handles(MemoryStore::new(), 2);
    let (heard, key) = (Arc::new(Heard::default()), key());
    handles[1].follow(Arc::clone(&heard) as _);
    let _ = handles[0].create(key, &session(START), None, START).await.unwrap();
    assert!(handles[1].load(key, START).await.unwrap().is_some());
    assert!(matches!(heard.take()[..], [Notice::Up(_)]));
    (handles, heard, key)
}

async fn change(handle: &Fed, key: Key) {
    let commit = administer().set("a", "1");
    assert!(matches!(handle.commit(key, &commit, START).await.unwrap(), Outcome::Done { .. }));
}

#[tokio::test]
async fn a_handle_is_told_of_what_it_has_read_and_others_change() {
    let (handles, heard, key) = followed().await;
    change(&handles[0], key).await;
    assert_eq!(heard.take(), [Notice::Changed(key)]);
    change(&handles[0], key).await;
    assert_eq!(heard.take(), [], "it is told once, until it reads again");
    change(&handles[1], key).await;
    assert_eq!(heard.take(), [], "its own changes are not told");
    change(&handles[0], key).await;
    assert_eq!(heard.take(), [Notice::Changed(key)], "a commit reads, too");
}

#[tokio::test]
async fn a_heartbeat_is_answered_after_what_there_is_to_tell() {
    let (handles, heard, key) = followed().await;
    let source = handles[1].source(key).unwrap();
    handles[1].wire().set_pace(Pace::Held);
    change(&handles[0], key).await;
    let mut beat = Box::pin(handles[1].beat(source));
    assert!(futures_util::poll!(&mut beat).is_pending());
    assert_eq!(handles[1].wire().release(1), 1);
    assert_eq!(heard.take(), [Notice::Changed(key)]);
    assert!(futures_util::poll!(&mut beat).is_pending(), "the answer is held, too");
    assert_eq!(handles[1].wire().release(1), 1);
    beat.await.unwrap();
}

#[tokio::test]
async fn what_waits_is_told_together() {
    let (handles, heard, key) = followed().await;
    let wire = handles[1].wire();
    wire.set_pace(Pace::Held);
    wire.set_merge(Merge::Records);
    for _ in 0..2 {
        change(&handles[0], key).await;
        assert!(handles[1].load(key, START).await.unwrap().is_some());
    }
    assert_eq!(wire.release(usize::MAX), 1);
    assert_eq!(heard.take(), [Notice::Changed(key)]);
    wire.set_merge(Merge::All);
    change(&handles[0], key).await;
    assert_eq!(wire.release(usize::MAX), 1);
    assert!(matches!(heard.take()[..], [Notice::Flushed(_)]));
}

#[tokio::test]
async fn a_source_that_has_lost_something_does_not_come_back() {
    let (handles, heard, key) = followed().await;
    let (wire, first) = (handles[1].wire(), handles[1].source(key).unwrap());
    wire.set_pace(Pace::Silent);
    change(&handles[0], key).await;
    assert_eq!(heard.take(), []);
    wire.set_pace(Pace::AtOnce);
    let second = handles[1].source(key).unwrap();
    assert_eq!(heard.take(), [Notice::Down(first), Notice::Up(second)]);
    assert!(handles[1].beat(first).await.is_err());
    wire.unplug();
    handles[1].reset(second);
    assert_eq!((handles[1].source(key), heard.take()), (None, vec![Notice::Down(second)]));
    wire.plug();
    let third = handles[1].source(key).unwrap();
    assert_eq!(heard.take(), [Notice::Up(third)]);
    handles[1].reset(third);
    assert!(matches!(heard.take()[..], [Notice::Down(_), Notice::Up(_)]));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_happens_before_a_later_heartbeat() {
    let (handles, heard, key) = followed().await;
    let (wire, source) = (handles[1].wire(), handles[1].source(key).unwrap());
    let dice = Dice::new(1);
    wire.set_lag(Some(Lag { dice, micros: 50_000..50_001 }));
    let mut commit = Box::pin(change(&handles[1], key));
    assert!(futures_util::poll!(&mut commit).is_pending());
    drop(commit);
    let version = async || handles[0].load(key, START).await.unwrap().unwrap().version;
    assert_eq!(version().await, 1);
    handles[1].beat(source).await.unwrap();
    assert_eq!((version().await, heard.take()), (2, vec![]));
}

#[tokio::test]
async fn a_key_that_moves_is_told_of() {
    let shape = Shape { sources: 2, versions: false };
    let handles = Fed::shaped(Arc::new(MemoryStore::new()), 2, shape);
    let (heard, key) = (Arc::new(Heard::default()), key());
    handles[1].follow(Arc::clone(&heard) as _);
    let _ = handles[0].create(key, &session(START), None, START).await.unwrap();
    assert!(handles[1].load(key, START).await.unwrap().is_some());
    let before = handles[1].source(key);
    assert_eq!(heard.take().len(), 2, "two sources are up");
    handles[0].move_keys().await;
    assert_eq!(heard.take(), [Notice::Changed(key)]);
    assert_ne!(handles[1].source(key), before);
}
