//! What the store says when its server is gone, hangs, refuses or is something else: an error of
//! the right kind within its deadline, and never that a session is absent.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cloakroom_core::store::Error;
use cloakroom_core::{Key, Outcome, Record, Store};
use cloakroom_redis::{ConnectError, Options, RedisStore};
use cloakroom_testkit::faults::{BOUND, all_fail, causes, loaded, lost, refused, unanswered};
use cloakroom_testkit::samples::{Doing, START, key, session, visit};
use cloakroom_testkit::servers::Redis;
use cloakroom_testkit::{Mode, Proxy};
use futures_util::FutureExt;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, timeout};

/// What the store waits for an answer here, and for a connection.
const WAIT: Duration = Duration::from_millis(300);
/// How long somebody waits between two tries.
const BETWEEN: Duration = Duration::from_millis(5);

fn options() -> Options {
    Options { connect_timeout: WAIT, response_timeout: WAIT, ..Options::default() }
}

async fn connect(url: &str) -> RedisStore {
    RedisStore::connect(url, options()).await.expect("the server can be used")
}

/// A server, a store on it, and one session.
async fn one_session() -> (Redis, RedisStore, Key, Record) {
    let server = Redis::start().await;
    let store = connect(&server.url()).await;
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.expect("it is created");
    (server, store, key, record)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_unreachable_and_comes_back() {
    let (mut server, store, key, record) = one_session().await;
    server.kill();
    // A command may have been on its way when the server went.
    all_fail(&store, key, &record, lost).await;
    all_fail(&store, key, &record, |error| matches!(error, Error::Unreachable(_))).await;
    let server = server.restart().await;
    assert_eq!(loaded(&store, key, START).await, Some(record));
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_does_not_answer() {
    let (server, store, key, record) = one_session().await;
    server.pause();
    let begun = Instant::now();
    let error = store.load(key, START).await.expect_err("it is paused");
    assert!(unanswered(&error), "{error:?}");
    // The connection is replaced, and the new one is not made either.
    let hangs = |error: &Error| matches!(error, Error::Unreachable(_) | Error::Unanswered(_));
    all_fail(&store, key, &record, hangs).await;
    assert!(begun.elapsed() < BOUND, "the calls hang");
    server.resume();
    assert!(loaded(&store, key, START).await.is_some() || has_ended_since(&server, key));
}

/// A paused server may carry out later what it was sent; that includes the ending.
fn has_ended_since(server: &Redis, key: Key) -> bool {
    server.command(&["KEYS", &format!("*{key}")]).is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_refuses_to_write() {
    let (server, store, key, record) = one_session().await;
    let other = Redis::start().await;
    let port = other.addr().port().to_string();
    server.command(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
    server.command(&["REPLICAOF", "127.0.0.1", &port]);
    let error = store.commit(key, &visit(&record).set("cart", "1"), START).await;
    assert!(error.as_ref().is_err_and(refused), "{error:?}");
    let error = store.create(Key::random(key.kind()), &record, None, START).await;
    assert!(error.as_ref().is_err_and(refused), "{error:?}");
}

/// A master that begins to send at once, and sends as many bytes as it has.
const QUICK: [&str; 4] = ["--repl-diskless-sync-delay", "0", "--rdbcompression", "no"];

/// A session and the store of a server that is told to follow a master with much to send.
async fn demoted(arguments: &[&str]) -> (Redis, Redis, RedisStore, Key, Record) {
    let (server, master) = (Redis::start_with(arguments).await, Redis::start_with(&QUICK).await);
    let store = connect(&server.url()).await;
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.expect("it is created");
    master.command(&["DEBUG", "POPULATE", "300", "filling", "2000"]);
    server.command(&["REPLICAOF", "127.0.0.1", &master.addr().port().to_string()]);
    (server, master, store, key, record)
}

/// What every load says until `done`: never that the session is absent, while it may not be.
async fn never_absent(store: &RedisStore, key: Key, mut done: impl FnMut(&Error) -> bool) {
    let refused = async {
        let mut tries = interval(BETWEEN);
        loop {
            tries.tick().await;
            if let Err(error) = store.load(key, START).await
                && done(&error)
            {
                break;
            }
        }
    };
    timeout(BOUND, refused).await.expect("it refuses");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loads_its_data_is_no_absence() {
    let slowly = ["--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"];
    let (_server, _master, store, key, record) = demoted(&slowly).await;
    never_absent(&store, key, |error| {
        causes(error).iter().any(|cause| cause.contains("BusyLoading")) && refused(error)
    })
    .await;
    let loading = |error: &Error| !matches!(error, Error::Unreadable { .. });
    all_fail(&store, key, &record, loading).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_its_master_is_no_absence() {
    let (server, mut master, store, key, record) = demoted(&[]).await;
    server.command(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    master.kill();
    never_absent(&store, key, |error| {
        causes(error).iter().any(|cause| cause.contains("MasterDown")) && refused(error)
    })
    .await;
    all_fail(&store, key, &record, |error| !error.is_ambiguous()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_or_a_careful_server_refuses() {
    let (server, store, key, record) = one_session().await;
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let commit = visit(&record).set("cart", "1");
    let error = store.commit(key, &commit, START).await.expect_err("NOREPLICAS");
    assert!(refused(&error) && format!("{error:?}").contains("NOREPLICAS"), "{error:?}");
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);

    // A script that runs for longer than it may has all others wait, and then refused.
    server.command(&["CONFIG", "SET", "busy-reply-threshold", "1"]);
    let (url, mut busy) = (server.url(), false);
    let endless = tokio::task::spawn_blocking(move || {
        let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
        let _ = redis::cmd("EVAL").arg("while true do end").arg(0).exec(&mut connection);
    });
    let mut tries = interval(BETWEEN);
    while !busy {
        tries.tick().await;
        if let Err(error) = store.load(key, START).await {
            assert!(!matches!(error, Error::Unreadable { .. }), "{error:?}");
            busy = refused(&error) && format!("{error:?}").contains("BUSY");
        }
    }
    server.command(&["SCRIPT", "KILL"]);
    endless.await.expect("it ends");
    assert_eq!(loaded(&store, key, START).await, Some(record));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_do_not_pile_up_before_a_server_that_hangs() {
    let (server, _direct, key, _record) = one_session().await;
    let proxy = Proxy::to(server.addr()).await;
    let slow = Options { connect_timeout: BOUND, response_timeout: BOUND, ..options() };
    let store = RedisStore::connect(&format!("redis://{}", proxy.addr()), slow).await.unwrap();
    proxy.set(Mode::Reset);
    let lost = store.load(key, START).await.expect_err("it is cut");
    assert!(!matches!(lost, Error::Refused(_)), "{lost:?}");
    while !matches!(store.load(key, START).await, Err(Error::Unreachable(_))) {}
    // New connections are accepted now, and nothing is said: each would take its whole time.
    proxy.set(Mode::Hold);
    let begun = Instant::now();
    // For longer than it takes until the next attempt.
    while begun.elapsed() < Duration::from_secs(2) {
        let told = timeout(BOUND / 2, store.load(key, START)).await.expect("it is told at once");
        let error = told.expect_err("nobody answers");
        assert!(matches!(error, Error::Unreachable(_)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_may_not_do_is_said() {
    let server = Redis::start().await;
    server.command(&["ACL", "SETUSER", "app", "on", ">hunter2", "~*", "+@all", "-evalsha"]);
    let url = format!("redis://app:hunter2@{}", server.addr());
    let store = connect(&url).await;
    let error = store.create(key(), &session(START), None, START).await.expect_err("no EVALSHA");
    let said = format!("{error:?} {}", causes(&error).join(" "));
    assert!(refused(&error) && said.contains("evalsha") && !said.contains("hunter2"), "{said}");
    let url = format!("redis://app:wrong@{}", server.addr());
    let error = RedisStore::connect(&url, options()).await.expect_err("it is wrong");
    let said = format!("{error:?} {}", causes(&error).join(" "));
    assert!(said.contains("WRONGPASS") && !said.contains("wrong@"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_to_write_and_reads() {
    let (server, store, key, record) = one_session().await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let commit = visit(&record).set("cart", "1");
    let error = store.commit(key, &commit, START).await;
    assert!(error.as_ref().is_err_and(refused), "{error:?}");
    assert_eq!(store.load(key, START).await.expect("it reads"), Some(record));
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let done = store.commit(key, &commit, START).await.expect("there is room");
    assert_eq!(done, Outcome::Done { version: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_changes_is_refused_and_not_for_good() {
    let (server, store, key, record) = one_session().await;
    server.command(&["CONFIG", "SET", "requirepass", "hunter2"]);
    // Connections that are there stay as they are; a new one is refused.
    let authenticated = |words: &[&str]| {
        let client = redis::Client::open(format!("redis://:hunter2@{}", server.addr()));
        let mut connection = client.and_then(|client| client.get_connection()).unwrap();
        redis::cmd(words[0]).arg(&words[1..]).exec(&mut connection).unwrap();
    };
    authenticated(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let gone = |error: &Error| matches!(error, Error::Refused(_) | Error::Unanswered(_));
    all_fail(&store, key, &record, gone).await;
    all_fail(&store, key, &record, refused).await;
    authenticated(&["CONFIG", "SET", "requirepass", ""]);
    assert_eq!(loaded(&store, key, START).await, Some(record));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_and_not_shown() {
    let server = Redis::start().await;
    server.command(&["CONFIG", "SET", "requirepass", "right"]);
    let url = format!("redis://:hunter2@{}", server.addr());
    let error = RedisStore::connect(&url, options()).await.expect_err("it is wrong");
    assert!(matches!(&error, ConnectError::Server { source, .. } if refused(source)), "{error:?}");
    let shown = format!("{error:?} {}", causes(&error).join(" "));
    assert!(shown.contains("WRONGPASS") && !shown.contains("hunter2"), "{shown}");
    let store = connect(&format!("redis://:right@{}", server.addr())).await;
    let shown = format!("{store:?}");
    assert!(!shown.contains("right") && shown.contains("127.0.0.1"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_redis_server_is_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let talks = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            // The first connection is answered in another language, the next never.
            if kept.is_empty() {
                stream.writable().await.unwrap();
                let _ = stream.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
            kept.push(stream);
        }
    });
    for said in ["this is no Redis server", "timed out"] {
        let error = RedisStore::connect(&format!("redis://{addr}"), options()).await;
        let error = error.expect_err("it is none");
        assert!(
            matches!(&error, ConnectError::Server { source: Error::Unreachable(_), .. }),
            "{error:?}"
        );
        assert!(causes(&error).iter().any(|cause| cause.contains(said)), "{error:?}");
    }
    talks.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said_once() {
    let mut server = Redis::start().await;
    let url = server.url();
    server.kill();
    let error = RedisStore::connect(&url, options()).await.expect_err("it is gone");
    let [context, kind, cause] = causes(&error).try_into().expect("three causes");
    assert_eq!(context, format!("cannot use the Redis server at {}", server.addr()));
    assert_eq!(kind, "the session store cannot be reached");
    assert!(cause.contains("refused"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_is_not_used_unless_it_is_allowed() {
    let server = Redis::start_with(&["--maxmemory-policy", "volatile-lru"]).await;
    let error = RedisStore::connect(&server.url(), options()).await;
    assert!(matches!(&error, Err(ConnectError::Evicts { .. })), "{error:?}");
    let allowed = Options { insecure_allow_eviction: true, ..options() };
    assert!(RedisStore::connect(&server.url(), allowed).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_applied_once() {
    let (server, direct, key, record) = one_session().await;
    let proxy = Proxy::to(server.addr()).await;
    let store = connect(&format!("redis://{}", proxy.addr())).await;
    let commit = visit(&record).set("cart", "1");
    // The server learns the script first, so that the answer that is lost is the commit's.
    let _ = direct.commit(key, &visit(&record), START).await.expect("it answers");
    for mode in [Mode::CutAfterAnswerLost, Mode::DropAnswers] {
        assert!(store.load(key, START).await.is_ok());
        proxy.set(mode);
        let error = store.commit(key, &commit, START).await;
        assert!(error.as_ref().is_err_and(unanswered), "{mode:?}: {error:?}");
        proxy.set(Mode::Pass);
        assert_eq!(direct.load(key, START).await.unwrap().unwrap().version, 2, "{mode:?}");
        let again = store.commit(key, &commit, START).await.expect("it answers");
        assert_eq!(again, Outcome::Done { version: 2 }, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_closes_is_replaced() {
    let (server, store, key, record) = one_session().await;
    for _ in 0..5 {
        server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert_eq!(loaded(&store, key, START).await.as_ref(), Some(&record));
    }
}

/// When a caller gives up, long before the store would.
const PATIENCE: Duration = Duration::from_millis(50);

/// Leads the first connection to `first` and all later ones to `then`.
async fn fork(first: SocketAddr, then: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("a bound address");
    let leads = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        let mut next = first;
        while let Ok((mut client, _)) = listener.accept().await {
            let to = std::mem::replace(&mut next, then);
            connections.spawn(async move {
                let mut server = TcpStream::connect(to).await?;
                copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    (addr, leads)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_connection_is_replaced_though_no_caller_waits_for_it() {
    let (server, _direct, key, record) = one_session().await;
    let proxy = Proxy::to(server.addr()).await;
    let (addr, leads) = fork(proxy.addr(), server.addr()).await;
    let store = connect(&format!("redis://{addr}")).await;
    proxy.set(Mode::Hold);
    let replaced = async {
        loop {
            if let Ok(answer) = timeout(PATIENCE, store.load(key, START)).await {
                return answer;
            }
        }
    };
    let answer = timeout(BOUND, replaced).await.expect("the dead connection is replaced");
    assert_eq!(answer.expect("the new one answers"), Some(record));
    leads.abort();
}

/// The connections that the server has, each by its number, but the one that asks.
fn connections(server: &Redis) -> Vec<String> {
    let list = server.command(&["CLIENT", "LIST"]);
    let others = list.lines().filter(|line| !line.contains("cmd=client"));
    others.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_costs_nobody_the_connection() {
    let server = Redis::start().await;
    let patient = Options { response_timeout: BOUND, ..options() };
    let store = RedisStore::connect(&server.url(), patient).await.expect("it can be used");
    let before = connections(&server);
    assert_eq!(before.len(), 1);
    server.pause();
    for _ in 0..100 {
        assert!(store.load(key(), START).now_or_never().is_none(), "the server is paused");
    }
    server.resume();
    for _ in 0..100 {
        let _ = store.load(key(), START).now_or_never();
        assert_eq!(store.load(key(), START).await.expect("it answers"), None);
    }
    assert_eq!(connections(&server), before);
    // One probe at a time: the callers that hung up while the server was paused share theirs.
    let stats = server.command(&["INFO", "commandstats"]);
    let pings = stats.lines().find_map(|line| line.strip_prefix("cmdstat_ping:calls="));
    let pings = pings.and_then(|rest| rest.split(',').next()?.parse::<usize>().ok());
    assert!(pings.is_some_and(|pings| (2..150).contains(&pings)), "{stats}");
}
