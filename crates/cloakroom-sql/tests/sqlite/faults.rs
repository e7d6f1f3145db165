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

/// What each call answers, by name.
async fn ask_all(store: &SqlStore, key: Key) -> Vec<(&'static str, Result<(), Error>)> {
    let mut login = record();
    login.principal = Some("alice".to_owned());
    let cart = write("cart", b"1".to_vec(), Expect::Any);
    let (directory, endings) = (store.directory().unwrap(), store.endings().unwrap());
    vec![
        ("load", store.load(key, NOW).await.map(drop)),
        ("commit", store.commit(key, &cart, NOW).await.map(drop)),
        ("sign in", store.commit(key, &sign_in(), NOW).await.map(drop)),
        ("create", store.create(Key::random(key.kind()), &record(), None, NOW).await.map(drop)),
        ("log in", store.create(Key::random(key.kind()), &login, Some(9), NOW).await.map(drop)),
        ("end", store.end(key, &Guard::None, LOGGED_OUT, NOW).await.map(drop)),
        ("expire", store.expire(9, Keep::Nothing, LATER).await.map(drop)),
        ("of_principal", directory.of_principal("alice", NOW).await.map(drop)),
        ("bar", directory.bar("alice", NOW).await),
        ("page", directory.page(key.kind(), None, 9, NOW).await.map(drop)),
        ("count", directory.count(key.kind(), NOW).await.map(drop)),
        ("lease", endings.lease(9, LATER, NOW).await.map(drop)),
        ("acknowledge", endings.acknowledge(key).await),
    ]
}

fn cause(error: &Error) -> String {
    std::error::Error::source(error).unwrap().to_string()
}

async fn all_refuse(store: &SqlStore, key: Key) {
    for (call, answer) in ask_all(store, key).await {
        let Err(error) = answer else { panic!("{call} was answered") };
        assert!(matches!(error, Error::Refused(_)), "{call}: {error:?}");
        let expected = "the database file was removed or replaced; restart this node";
        assert_eq!(cause(&error), expected, "{call}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_removed_file_is_noticed_by_a_sweep_and_by_a_write() {
    for noticing in ["expire", "commit"] {
        let place = Place::new();
        let store = place.store().await;
        let key = create(&store, &record()).await;
        std::fs::remove_file(place.file()).unwrap();
        let answer = match noticing {
            "expire" => store.expire(9, Keep::Nothing, NOW).await.map(drop),
            _ => {
                let cart = write("cart", b"1".to_vec(), Expect::Any);
                store.commit(key, &cart, NOW).await.map(drop)
            }
        };
        assert!(matches!(answer, Err(Error::Refused(_))), "{noticing}: {answer:?}");
        all_refuse(&store.clone(), key).await;
        assert!(!place.file().exists(), "no other file was made");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_replaced_file_is_noticed_and_a_restart_goes_on_with_it() {
    let place = Place::new();
    let (first, second) = (place.store().await, place.store().await);
    let key = create(&first, &record()).await;
    for name in ["sessions.db", "sessions.db-wal", "sessions.db-shm"] {
        std::fs::remove_file(place.0.path().join(name)).unwrap();
    }
    let restarted = place.store().await;
    assert_eq!(restarted.load(key, NOW).await.unwrap(), None);
    let theirs = create(&restarted, &record()).await;
    for store in [&first, &second] {
        assert!(store.expire(9, Keep::Nothing, NOW).await.is_err());
        all_refuse(store, theirs).await;
    }
    assert_eq!(restarted.load(theirs, NOW).await.unwrap(), Some(record()));
    assert_eq!(restarted.expire(9, Keep::Nothing, NOW).await.unwrap(), []);
}

/// A reader that is opened later, on a file that is not the one of the others, reads nothing.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_connection_to_another_file_is_not_used() {
    let (place, other) = (Place::new(), Place::new());
    let options = Options { busy_timeout: Duration::from_millis(300), ..Options::default() };
    let store = SqlStore::with_options(&place.url(), options).await.unwrap();
    let key = create(&store, &record()).await;
    let another = other.store().await;
    let theirs = create(&another, &record()).await;
    another.close().await;
    for companion in ["sessions.db-wal", "sessions.db-shm"] {
        std::fs::remove_file(place.0.path().join(companion)).unwrap();
    }
    std::fs::rename(other.file(), place.file()).unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let store = store.clone();
        asking.spawn(async move { (store.load(key, NOW).await, store.load(theirs, NOW).await) });
    }
    while let Some(answers) = asking.join_next().await {
        let (ours, theirs) = answers.unwrap();
        assert!(!matches!(ours, Ok(None)), "a living session is never absent");
        assert!(!matches!(theirs, Ok(Some(_))), "{theirs:?}");
    }
}

/// Writes garbage over the first page of a table and of its index of keys.
async fn garble(place: &Place) {
    let mut raw = place.raw().await;
    let pages: Vec<i64> = sqlx::query_scalar(
        "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'cloakroom_sessions'",
    )
    .fetch_all(&mut raw)
    .await
    .unwrap();
    let size: i64 = sqlx::query_scalar("PRAGMA page_size").fetch_one(&mut raw).await.unwrap();
    sqlx::Connection::close(raw).await.unwrap();
    let size = usize::try_from(size).unwrap();
    let mut bytes = std::fs::read(place.file()).unwrap();
    for page in pages {
        let begin = size * (usize::try_from(page).unwrap() - 1);
        bytes[begin..begin + size].fill(0xa5);
    }
    std::fs::write(place.file(), bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_database_refuses_and_says_why() {
    let place = Place::new();
    let store = place.store().await;
    let key = create(&store, &record()).await;
    store.close().await;
    garble(&place).await;
    let store = place.store().await;
    let mut refused = Vec::new();
    for (call, answer) in ask_all(&store, key).await {
        match answer {
            Ok(()) => {}
            Err(error) => {
                assert!(matches!(error, Error::Refused(_)), "{call}: {error:?}");
                assert!(cause(&error).contains("malformed"), "{call}: {error:?}");
                refused.push(call);
            }
        }
    }
    let touch_no_damage = ["bar", "lease", "acknowledge"];
    assert_eq!(refused.len() + touch_no_damage.len(), 13, "{refused:?}");
}
