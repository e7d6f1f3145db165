//! The stores that count, fail, hang and have something happen do what tests rely on.

use std::sync::Arc;

use cloakroom_core::store::Error;
use cloakroom_core::{Kind, MemoryStore, Store};
use cloakroom_testkit::samples::{START, key, session};
use cloakroom_testkit::stores::{Call, Counting, Fail, Failing, Hanging, Hooked, lost, unreached};
use cloakroom_testkit::{Fixture, store_laws};

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
