//! Faults: servers that are killed, restarted, slow and cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloakroom_core::commit::Expect;
use cloakroom_core::store::Error;
use cloakroom_core::{Key, Outcome, Store};
use cloakroom_testkit::faults::loaded;
use cloakroom_testkit::{Mode, Proxy};
use futures_util::future::join_all;

use crate::{
    NOW, Raw, Server, Which, ask_all, count_one, counted, create, few, hasty, open, record,
    sign_in, write,
};

const COUNTERS: usize = 12;

/// Counts on one key until it is told to stop; the last count that was acknowledged.
async fn counts(store: cloakroom_sql::SqlStore, key: Key, stop: Arc<AtomicBool>) -> u64 {
    let mut acknowledged = 0;
    while !stop.load(Ordering::Relaxed) {
        match count_one(&store, key).await {
            Ok(count) => acknowledged = count,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    acknowledged
}

async fn kill_in_mid_load(which: Which) {
    let mut server = Server::start(which).await;
    let store = open(&server.url(), few()).await;
    let (stop, mut keys, mut counting) = (Arc::<AtomicBool>::default(), Vec::new(), Vec::new());
    for n in 0..COUNTERS {
        let key = create(&store, &record()).await;
        let _ = store.commit(key, &sign_in(&format!("user {n}")), NOW).await.unwrap();
        keys.push(key);
        counting.push(tokio::spawn(counts(store.clone(), key, Arc::clone(&stop))));
    }
    for _ in 0..3 {
        let before = counted(&loaded(&store, keys[0], NOW).await.unwrap());
        // In mid-load: until there is more than there was.
        while loaded(&store, keys[0], NOW).await.is_none_or(|now| counted(&now) < before + 20) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.kill();
        server = server.restart().await;
    }
    stop.store(true, Ordering::Relaxed);
    let acknowledged = join_all(counting).await;
    let fresh = open(&server.url(), few()).await;
    for (n, (key, acknowledged)) in keys.iter().zip(acknowledged).enumerate() {
        let (found, acknowledged) =
            (fresh.load(*key, NOW).await.unwrap().unwrap(), acknowledged.unwrap());
        assert!(counted(&found) >= acknowledged, "{} {acknowledged}", counted(&found));
        // Each addition is one version, and the sign-in one.
        assert_eq!(found.version, counted(&found) + 2);
        let directory = fresh.directory().unwrap();
        let of_user = directory.of_principal(&format!("user {n}"), NOW).await.unwrap();
        assert_eq!(of_user, [(*key, found)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_loses_nothing_that_was_acknowledged() {
    kill_in_mid_load(Which::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_mariadb_loses_nothing_that_was_acknowledged() {
    kill_in_mid_load(Which::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn a_killed_mysql_loses_nothing_that_was_acknowledged() {
    kill_in_mid_load(Which::MySql).await;
}

/// Every connection of the pool has been in use, and all of them are dead.
async fn restart_with_a_full_pool(which: Which) {
    let server = Server::start(which).await;
    let store = open(&server.url(), few()).await;
    let key = create(&store, &record()).await;
    for answer in join_all((0..50).map(|_| store.load(key, NOW))).await {
        assert_eq!(answer.unwrap(), Some(record()));
    }
    let server = server.restart().await;
    // One may find out; those after it know.
    let _ = store.load(key, NOW).await;
    for answer in join_all((0..50).map(|_| store.load(key, NOW))).await {
        assert_eq!(answer.unwrap(), Some(record()));
    }
    assert_eq!(count_one(&store, key).await.unwrap(), 1);
    drop(server);
    for (call, answer) in ask_all(&store, key).await {
        assert!(matches!(answer, Err(Error::Unreachable(_) | Error::Unanswered(_))), "{call}");
    }
}

#[tokio::test]
async fn a_pool_comes_back_after_a_restart_of_postgres() {
    restart_with_a_full_pool(Which::Postgres).await;
}

#[tokio::test]
async fn a_pool_comes_back_after_a_restart_of_mariadb() {
    restart_with_a_full_pool(Which::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn a_pool_comes_back_after_a_restart_of_mysql() {
    restart_with_a_full_pool(Which::MySql).await;
}

async fn lock_row(raw: &mut Raw, key: Key) {
    let hex: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let id = match raw {
        Raw::Postgres(_) => format!("'\\x{hex}'"),
        Raw::MySql(_) => format!("x'{hex}'"),
    };
    raw.run("BEGIN").await;
    let row = format!("kind = 's' AND id = {id}");
    raw.run(&format!("SELECT 1 FROM cloakroom_sessions WHERE {row} FOR UPDATE")).await;
}

/// A row that another connection has locked: the server gives up before the call does, so that it
/// is known that nothing was done; and there are calls enough to take every connection.
async fn a_locked_row(which: Which) {
    let server = Server::start(which).await;
    let store = open(&server.url(), few()).await;
    let (locked, free) = (create(&store, &record()).await, create(&store, &record()).await);
    // With every connection made before, nearly all of a call's time is the statement's.
    for answer in join_all((0..50).map(|_| store.load(free, NOW))).await {
        assert_eq!(answer.unwrap(), Some(record()));
    }
    let mut raw = server.raw().await;
    lock_row(&mut raw, locked).await;
    let (cart, alice) = (write("cart", b"1".to_vec(), Expect::Any), sign_in("alice"));
    let waiting = (0..4).map(|n| {
        let commit = if n % 2 == 0 { &cart } else { &alice };
        store.commit(locked, commit, NOW)
    });
    for answer in join_all(waiting).await {
        assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
    }
    assert_eq!(count_one(&store, free).await.unwrap(), 1);
    assert_eq!(store.load(locked, NOW).await.unwrap(), Some(record()));
    raw.run("ROLLBACK").await;
    let outcome = store.commit(locked, &cart, NOW).await.unwrap();
    assert_eq!(outcome, Outcome::Done { version: 2 });
}

#[tokio::test]
async fn a_locked_row_of_postgres_is_unreachable_and_the_rest_goes_on() {
    a_locked_row(Which::Postgres).await;
}

#[tokio::test]
async fn a_locked_row_of_mariadb_is_unreachable_and_the_rest_goes_on() {
    a_locked_row(Which::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn a_locked_row_of_mysql_is_unreachable_and_the_rest_goes_on() {
    a_locked_row(Which::MySql).await;
}

/// A COMMIT that tells, and waits for a standby that is not there, holds the lock under which all
/// others tell: they give up before their calls do, and it is known that nothing was done.
#[tokio::test]
async fn a_stuck_notice_of_postgres_is_unreachable_and_nothing_piles_up() {
    let server = Server::start(Which::Postgres).await;
    let store = open(&server.url(), hasty()).await;
    let key = create(&store, &record()).await;
    let _ = store.commit(key, &sign_in("alice"), NOW).await.unwrap();
    let before = store.load(key, NOW).await.unwrap().unwrap();
    let mut stuck = server.raw().await;
    let mut raw = server.raw().await;
    raw.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    raw.run("SELECT pg_reload_conf()").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = "BEGIN; UPDATE cloakroom_schema SET version = version; NOTIFY stuck; COMMIT";
    let stuck = tokio::spawn(async move { stuck.run(told).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!stuck.is_finished());

    // One statement, and a transaction.
    for commit in [write("cart", b"1".to_vec(), Expect::Any), sign_in("bob")] {
        let answer = store.commit(key, &commit, NOW).await;
        assert!(matches!(answer, Err(Error::Unreachable(_))), "{answer:?}");
        assert_eq!(store.load(key, NOW).await.unwrap().as_ref(), Some(&before));
    }
    let waiting =
        "DO $$ BEGIN ASSERT (SELECT count(*) FROM pg_locks WHERE NOT granted) = 0; END $$";
    raw.run(waiting).await;
    raw.run("ALTER SYSTEM RESET synchronous_standby_names").await;
    raw.run("SELECT pg_reload_conf()").await;
    stuck.await.unwrap();
    assert_eq!(count_one(&store, key).await.unwrap(), 1);
}

/// A server that hangs: every call is answered all the same, and says what may have been done.
async fn a_silent_server(which: Which) {
    let server = Server::start(which).await;
    let proxy = Proxy::to(server.addr()).await;
    let store = open(&server.url_at(proxy.addr()), hasty()).await;
    let key = create(&store, &record()).await;
    assert_eq!(loaded(&store, key, NOW).await, Some(record()));

    proxy.set(Mode::Hold);
    let cart = write("cart", b"1".to_vec(), Expect::Any);
    let base = Arc::new(record());
    let after = Arc::new(base.apply(&cart, NOW).1.unwrap());
    let built = cloakroom_core::store::Built { base: &base, after: &after };
    let sent = store.commit_built(key, &cart, built, NOW).await;
    assert!(matches!(sent, Err(Error::Unanswered(_))), "{sent:?}");
    for (call, answer) in ask_all(&store, key).await {
        assert!(matches!(answer, Err(Error::Unreachable(_))), "{call}: {answer:?}");
    }
    proxy.set(Mode::Pass);
    loaded(&store, key, NOW).await;
    let outcome = store.commit(key, &cart, NOW).await.unwrap();
    assert_eq!(outcome, Outcome::Done { version: 2 }, "once, whether it came through or not");
}

#[tokio::test]
async fn a_postgres_that_hangs_is_given_up_in_time() {
    a_silent_server(Which::Postgres).await;
}

#[tokio::test]
async fn a_mariadb_that_hangs_is_given_up_in_time() {
    a_silent_server(Which::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn a_mysql_that_hangs_is_given_up_in_time() {
    a_silent_server(Which::MySql).await;
}

/// Calls that are dropped half-way leave no lock, and no connection that is in a transaction.
async fn dropped_calls(which: Which) {
    let server = Server::start(which).await;
    let store = open(&server.url(), few()).await;
    let key = create(&store, &record()).await;
    for micros in (0..4_000).step_by(200) {
        let login = sign_in("alice");
        let call = store.commit(key, &login, NOW);
        let _ = tokio::time::timeout(Duration::from_micros(micros), call).await;
    }
    for (call, answer) in ask_all(&store, key).await {
        assert!(answer.is_ok(), "{call}: {answer:?}");
    }
    let open = "SELECT 1 FROM cloakroom_sessions FOR UPDATE NOWAIT";
    server.run(open).await;
}

#[tokio::test]
async fn a_dropped_call_leaves_no_lock_in_postgres() {
    dropped_calls(Which::Postgres).await;
}

#[tokio::test]
async fn a_dropped_call_leaves_no_lock_in_mariadb() {
    dropped_calls(Which::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn a_dropped_call_leaves_no_lock_in_mysql() {
    dropped_calls(Which::MySql).await;
}
