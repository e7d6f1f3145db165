//! Several stores and several processes on one file, and processes that die.

use std::collections::{HashMap, HashSet};
use std::process::Stdio;
use std::time::Duration;

use cloakroom_core::commit::{Commit, Expect, Limit, SignIn};
use cloakroom_core::store::Keep;
use cloakroom_core::token::Secret;
use cloakroom_core::{Key, Kind, Outcome, Record, Store, Token};
use cloakroom_sql::SqlStore;
use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::{NOW, Place, ROOM, count_one, counted, create, record, write};

const URL: &str = "CLOAKROOM_TEST_URL";
const KEY: &str = "CLOAKROOM_TEST_KEY";
const TIMES: &str = "CLOAKROOM_TEST_TIMES";
const COUNTED: &str = "counted ";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_stores_on_one_file_lose_no_update() {
    let place = Place::new();
    let stores = [place.store().await, place.store().await];
    let key = create(&stores[0], &record()).await;
    let counting = (0..64).map(|task: usize| {
        let store = stores[task % 2].clone();
        tokio::spawn(async move { count_one(&store, key).await })
    });
    let mut seen: Vec<_> =
        join_all(counting).await.into_iter().map(|count| count.unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=64).collect::<Vec<_>>());
    for store in &stores {
        let record = store.load(key, NOW).await.unwrap().unwrap();
        assert_eq!((counted(&record), record.version), (64, 65));
    }
}

/// Runs this test program again, to count in a process of its own.
fn count_in_child(url: &str, key: Key, times: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::counts_where_it_is_told_to", "--nocapture"])
        .env(URL, url)
        .env(KEY, key.to_string())
        .env(TIMES, times.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The other process's side of these tests; does nothing on its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[allow(clippy::print_stdout, reason = "the parent reads the count there")]
async fn counts_where_it_is_told_to() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    let key = std::env::var(KEY).unwrap().parse().unwrap();
    let times: usize = std::env::var(TIMES).unwrap().parse().unwrap();
    let store = SqlStore::connect(&url).await.unwrap();
    for _ in 0..times {
        let count = count_one(&store, key).await;
        println!("{COUNTED}{count}");
    }
}

fn lines(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

/// The count in a line, where it is one of the child's.
fn count_in(line: &str) -> Option<u64> {
    let (_, count) = line.split_once(COUNTED)?;
    count.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_file_lose_no_update() {
    let place = Place::new();
    let store = place.store().await;
    let key = create(&store, &record()).await;
    let children = [0, 1].map(|_| count_in_child(&place.url(), key, 100));
    for _ in 0..100 {
        count_one(&store, key).await;
    }
    for child in children {
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success());
    }
    let record = store.load(key, NOW).await.unwrap().unwrap();
    assert_eq!(counted(&record), 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_that_was_answered() {
    let place = Place::new();
    let store = place.store().await;
    let key = create(&store, &record()).await;
    store.close().await;
    for _ in 0..5 {
        let mut child = count_in_child(&place.url(), key, usize::MAX);
        let mut output = lines(&mut child);
        let mut answered = 0;
        let mut heard = 0;
        while let Some(line) = output.next_line().await.unwrap() {
            let Some(count) = count_in(&line) else {
                continue;
            };
            answered = answered.max(count);
            heard += 1;
            if heard == 100 {
                child.start_kill().unwrap();
            }
        }
        assert_eq!(child.wait().await.unwrap().code(), None, "it was killed");
        assert!(heard >= 100, "it was killed in the middle of its work");
        let store = place.store().await;
        let kept = counted(&store.load(key, NOW).await.unwrap().unwrap());
        // The last line may have been cut off with its commit answered.
        assert!((answered..=answered + 2).contains(&kept), "{answered} {kept}");
        let mut raw = place.raw().await;
        let check: String =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut raw).await.unwrap();
        assert_eq!(check, "ok");
        store.close().await;
    }
}

#[tokio::test]
async fn a_restart_finds_everything() {
    let place = Place::new();
    let mut kept = HashMap::new();
    let store = place.store().await;
    for n in 0..50_u8 {
        let mut record = record();
        record.principal = Some(format!("user {n}"));
        kept.insert(create(&store, &record).await, record);
    }
    store.close().await;
    let store = place.store().await;
    for (key, record) in kept {
        assert_eq!(store.load(key, NOW).await.unwrap(), Some(record.clone()));
        let directory = store.directory().unwrap();
        let principal = record.principal.as_deref().unwrap();
        let found = directory.of_principal(principal, NOW).await.unwrap();
        assert_eq!(found, [(key, record)]);
    }
}

#[tokio::test]
async fn the_files_hold_no_token() {
    let place = Place::new();
    let store = place.store().await;
    let (key, secret) = (Key::random(Kind::Session), Secret::random());
    let token = Token::new(key, secret).reveal();
    let stored = Record::new(Token::parse(token.as_bytes()).map(|token| token.proof()), NOW);
    let _ = store.create(key, &stored, None, NOW).await.unwrap();
    let commit = write("cart", b"a marked value".to_vec(), Expect::Any);
    let _ = store.commit(key, &commit, NOW).await.unwrap();

    let text = &token.as_bytes()[24..];
    // 24 characters of base64 are 18 bytes, as a key's id: read the secret's as one.
    let read_as_key: Key = format!("s-{}", &token[24..]).parse().unwrap();
    let (mut found_value, mut found_key) = (false, false);
    for entry in std::fs::read_dir(place.0.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|at| at == needle);
        assert!(!holds(text) && !holds(read_as_key.as_bytes()));
        found_value |= holds(b"a marked value");
        found_key |= holds(key.as_bytes());
    }
    assert!(found_value && found_key, "the search finds what is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_stores_count_the_seats_together() {
    let place = Place::new();
    let stores = [place.store().await, place.store().await];
    let mut login = Commit::new(None, ROOM);
    login.sign_in = Some(SignIn { principal: "alice".to_owned(), seats: Some(5) });
    let mut logins = Vec::new();
    for task in 0..64 {
        let key = create(&stores[0], &record()).await;
        let (store, login) = (stores[task % 2].clone(), login.clone());
        logins.push(tokio::spawn(async move {
            // None fails because the other store has written meanwhile: it waits for its turn.
            store.commit(key, &login, NOW).await.unwrap()
        }));
    }
    let mut seated = 0;
    for outcome in join_all(logins).await {
        match outcome.unwrap() {
            Outcome::Done { .. } => seated += 1,
            Outcome::Refused(Limit::Seats { taken }) => assert_eq!(taken.len(), 5),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seated, 5);
    for store in &stores {
        let directory = store.directory().unwrap();
        assert_eq!(directory.of_principal("alice", NOW).await.unwrap().len(), 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_stores_sweep_each_session_once() {
    let place = Place::new();
    let stores = [place.store().await, place.store().await];
    let mut keys = HashSet::new();
    for _ in 0..200 {
        keys.insert(create(&stores[0], &record()).await);
    }
    let later = NOW + Duration::from_secs(3600);
    let sweeping = stores.map(|store| {
        tokio::spawn(async move {
            let mut swept = Vec::new();
            loop {
                let some = store.expire(7, Keep::Nothing, later).await.unwrap();
                if some.is_empty() {
                    return swept;
                }
                swept.extend(some.into_iter().map(|ending| ending.key));
            }
        })
    });
    let mut swept = Vec::new();
    for some in join_all(sweeping).await {
        swept.extend(some.unwrap());
    }
    assert_eq!(swept.len(), 200);
    assert_eq!(swept.into_iter().collect::<HashSet<_>>(), keys);
}
