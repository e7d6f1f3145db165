//! Faults: a locked file, damaged rows, calls that are dropped half-way.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use cloakroom_core::commit::{Commit, Expect, Guard, SignIn};
use cloakroom_core::store::{Announce, Error, Keep};
use cloakroom_core::{Ended, Key, Outcome, Store, Timestamp};
use cloakroom_sql::{Options, SqlStore};

use crate::{NOW, Place, ROOM, create, record, write};

const LATER: Timestamp = Timestamp::from_millis(1_000_000_000);
const LOGGED_OUT: Announce = Announce { reason: Ended::LoggedOut, keep: Keep::LeasedUntil(NOW) };

fn sign_in() -> Commit {
    let mut commit = Commit::new(None, ROOM);
    commit.sign_in = Some(SignIn { principal: "alice".to_owned(), seats: Some(9) });
    commit
}

#[tokio::test]
async fn a_file_locked_by_another_is_unreachable_and_reads_go_on() {
    let place = Place::new();
    let options = Options { busy_timeout: Duration::from_millis(300), ..Options::default() };
    let store = SqlStore::with_options(&place.url(), options).await.unwrap();
    let key = create(&store, &record()).await;
    let mut raw = place.raw().await;
    let lock = sqlx::Connection::begin_with(&mut raw, "BEGIN IMMEDIATE").await.unwrap();

    for commit in [write("cart", b"1".to_vec(), Expect::Any), sign_in()] {
        let error = store.commit(key, &commit, NOW).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    }
    let ended = store.end(key, &Guard::None, LOGGED_OUT, NOW).await;
    assert!(matches!(ended, Err(Error::Unreachable(_))));
    let created = store.create(key, &record(), None, LATER).await;
    assert!(matches!(created, Err(Error::Unreachable(_))));
    assert_eq!(store.load(key, NOW).await.unwrap(), Some(record()));
    // A sweep that finds nothing asks for no lock.
    assert_eq!(store.expire(10, Keep::Nothing, NOW).await.unwrap(), []);
    let endings = store.endings().unwrap();
    assert_eq!(endings.lease(10, LATER, NOW).await.unwrap(), []);

    lock.rollback().await.unwrap();
    let outcome = store.commit(key, &sign_in(), NOW).await.unwrap();
    assert_eq!(outcome, Outcome::Done { version: 2 });
}

async fn damage(place: &Place, key: Key) {
    let mut raw = place.raw().await;
    sqlx::query("UPDATE cloakroom_sessions SET record = x'00ff' WHERE id = ?")
        .bind(key.as_bytes().to_vec())
        .execute(&mut raw)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_damaged_row_is_an_error_for_its_key_only() {
    let place = Place::new();
    let store = place.store().await;
    let mut alices = record();
    alices.principal = Some("alice".to_owned());
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(create(&store, &alices).await);
    }
    let (bad, good) = keys.split_at(4);
    for key in bad {
        damage(&place, *key).await;
    }

    let error = store.load(bad[0], NOW).await.unwrap_err();
    assert!(matches!(error, Error::Unreadable { key, .. } if key == bad[0]));
    let directory = store.directory().unwrap();
    let found = directory.of_principal("alice", NOW).await.unwrap();
    assert_eq!(found, [(good[0], alices.clone())]);
    // Those that cannot be read stand in no other's way, even where they fill the limit.
    let swept = store.expire(2, Keep::Nothing, LATER).await.unwrap();
    assert_eq!(swept.len(), 1);
    assert_eq!((swept[0].key, swept[0].reason), (good[0], Ended::Idle));
    assert_eq!(store.expire(2, Keep::Nothing, LATER).await.unwrap(), []);
}

/// Polls `future` at most `times` times and drops it; whether it came to its end.
async fn poll_times(future: impl Future, times: usize) -> bool {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        future.as_mut().poll(context).map(|_| true)
    })
    .await
}

type Call<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Drops `call` after one poll, after two, and so on until it comes to its end. After each the
/// store must answer, and no lock may be left that keeps another process out.
async fn drop_at_every_poll(call: for<'a> fn(&'a SqlStore, Key) -> Call<'a>) {
    let place = Place::new();
    let store = place.store().await;
    let other = place.store().await;
    for polls in 1.. {
        let key = create(&store, &record()).await;
        let finished = poll_times(call(&store, key), polls).await;
        for store in [&store, &other] {
            let mark = write("mark", b"1".to_vec(), Expect::Any);
            let outcome = store.commit(key, &mark, NOW).await.unwrap();
            let ended = store.endings().unwrap().lease(9, LATER, NOW).await.unwrap();
            match outcome {
                Outcome::Done { .. } => assert_eq!(ended, []),
                Outcome::Gone => assert!(store.load(key, NOW).await.unwrap().is_none()),
                other => panic!("{other:?}"),
            }
        }
        if finished {
            return;
        }
        // The next round begins with nothing there.
        let quietly = Announce { keep: Keep::Nothing, ..LOGGED_OUT };
        let left = store.end(key, &Guard::None, quietly, NOW).await;
        left.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_commit_leaves_no_lock() {
    drop_at_every_poll(|store, key| {
        Box::pin(async move {
            let _ = store.commit(key, &sign_in(), NOW).await;
        })
    })
    .await;
    drop_at_every_poll(|store, key| {
        Box::pin(async move {
            let commit = write("cart", b"1".to_vec(), Expect::Any);
            let _ = store.commit(key, &commit, NOW).await;
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_ending_or_sweep_leaves_no_lock() {
    drop_at_every_poll(|store, key| {
        Box::pin(async move {
            let _ = store.end(key, &Guard::None, LOGGED_OUT, NOW).await;
        })
    })
    .await;
    drop_at_every_poll(|store, _| {
        Box::pin(async move {
            let _ = store.expire(100, Keep::LeasedUntil(NOW), LATER).await;
        })
    })
    .await;
}
