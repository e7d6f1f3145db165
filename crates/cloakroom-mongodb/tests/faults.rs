//! What the store says when its server is gone, hangs, refuses or is something else: an error of
//! the right kind within its deadline, and never that a session is absent.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod support;

use std::time::Duration;

use cloakroom_core::store::{Announce, Error, Keep};
use cloakroom_core::{Ended, Guard, Key, Outcome, Record, Store};
use cloakroom_mongodb::{ConnectError, MongoStore, Options};
use cloakroom_testkit::faults::{self, BOUND, causes, loaded, lost, refused, unanswered};
use cloakroom_testkit::samples::{Doing, START, key, session, visit};
use cloakroom_testkit::servers::Mongo;
use cloakroom_testkit::{Mode, Proxy};
use mongodb::bson::doc;
use support::database;
use tokio::net::TcpListener;
use tokio::time::timeout;

/// What the store waits for an answer here.
const WAIT: Duration = Duration::from_millis(600);
fn options() -> Options {
    Options { call_timeout: WAIT, ..Options::default() }
}

/// A store that is connected to with patience, and asked with little.
async fn connect(url: &str) -> MongoStore {
    let connects = async {
        loop {
            match MongoStore::connect(url, options()).await {
                Ok(store) => return store,
                Err(ConnectError::Server { source, .. }) if !refused(&source) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    timeout(BOUND, connects).await.expect("the server can be used")
}

/// A server, a store on it, and one session.
async fn one_session() -> (Mongo, MongoStore, Key, Record) {
    let server = Mongo::start().await;
    let store = connect(&server.url()).await;
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.expect("it is created");
    (server, store, key, record)
}

/// Asks every call, and expects an error that `is_right` from each.
async fn all_fail(store: &MongoStore, key: Key, record: &Record, is_right: fn(&Error) -> bool) {
    faults::all_fail(store, key, record, is_right).await;
    let directory = store.directory().expect("it has one");
    let errors = [
        store.expire(1, Keep::Nothing, START).await.err(),
        store.clock().await.err(),
        directory.count(key.kind(), START).await.err(),
        directory.page(key.kind(), None, 1, START).await.err(),
    ];
    for (index, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("further call {index} was answered"));
        assert!(is_right(&error), "further call {index}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_unreachable_and_comes_back() {
    let (mut server, store, key, record) = one_session().await;
    server.kill();
    all_fail(&store, key, &record, lost).await;
    all_fail(&store, key, &record, |error| matches!(error, Error::Unreachable(_))).await;
    let server = server.restart().await;
    assert_eq!(loaded(&store, key, START).await, Some(record));
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_does_not_answer_and_comes_back() {
    let (server, store, key, record) = one_session().await;
    let commit = visit(&record).set("cart", "1");
    assert!(store.load(key, START).await.is_ok());
    server.pause();
    let error = store.commit(key, &commit, START).await.expect_err("it is paused");
    assert!(lost(&error), "{error:?}");
    all_fail(&store, key, &record, lost).await;
    server.resume();
    // A paused server may carry out later what it was sent; that includes the ending.
    let _ = loaded(&store, key, START).await;
    let key = Key::random(key.kind());
    let created = async { while store.create(key, &record, None, START).await.is_err() {} };
    timeout(BOUND, created).await.expect("it writes again");
    assert!(loaded(&store, key, START).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_applied_once() {
    let (server, direct, key, record) = one_session().await;
    let proxy = Proxy::to(server.addr()).await;
    let url = format!("mongodb://{}/cloakroom-test?directConnection=true", proxy.addr());
    let store = connect(&url).await;
    let announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };
    for mode in [Mode::CutAfterAnswerLost, Mode::DropAnswers] {
        assert_eq!(loaded(&store, key, START).await.as_ref(), Some(&record));
        // A commit that knows the record is one call, and that one's answer is lost.
        let commit = visit(&record).set("cart", "1");
        let after = std::sync::Arc::new(record.apply(&commit, START).1.expect("it changes"));
        let base = std::sync::Arc::new(record.clone());
        let built = cloakroom_core::store::Built { base: &base, after: &after };
        proxy.set(mode);
        let error = store.commit_built(key, &commit, built, START).await;
        assert!(error.as_ref().is_err_and(lost), "{mode:?}: {error:?}");
        proxy.set(Mode::Pass);
        if error.as_ref().is_err_and(unanswered) {
            let again = direct.commit(key, &commit, START).await.expect("it answers");
            assert_eq!(again, Outcome::Done { version: 2 }, "{mode:?}");
        }
        let _ = direct.end(key, &Guard::None, announce, START).await.expect("it answers");
        let _ = direct.create(key, &record, None, START).await.expect("it answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_mongodb_server_is_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("a bound address");
    let talks = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            // The first connection is answered in another language, the next never.
            if kept.is_empty() {
                stream.writable().await.expect("it is writable");
                let _ = stream.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }
            kept.push(stream);
        }
    });
    for _ in 0..2 {
        let url = format!("mongodb://{addr}/x");
        let connecting = MongoStore::connect(&url, options());
        let error = timeout(BOUND, connecting).await.expect("it ends").expect_err("it is none");
        assert!(matches!(&error, ConnectError::Server { source, .. } if lost(source)), "{error:?}");
    }
    talks.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_said_once() {
    let mut server = Mongo::start().await;
    let url = server.url();
    server.kill();
    let error = MongoStore::connect(&url, options()).await.expect_err("it is gone");
    let [context, kind, cause] = causes(&error).try_into().expect("three causes");
    assert_eq!(context, format!("cannot use the MongoDB server at {}", server.addr()));
    assert_eq!(kind, "the session store cannot be reached");
    assert!(cause.contains("refused"), "{cause}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_said_and_not_shown() {
    // It is killed after this, and keeps no user that it was not made to keep.
    let mut server = Mongo::start_with(&["--sync-on-commit"]).await;
    let roles = [doc! { "role": "readWrite", "db": "shop" }];
    let user = doc! { "createUser": "app", "pwd": "right", "roles": roles.to_vec() };
    let admin = database(&server.url()).await.client().database("admin");
    admin.run_command(user).await.expect("a user is made");
    server.set_arguments(&["--auth"]);
    let server = server.restart().await;
    let url = |user: &str| format!("mongodb://{user}{}/shop?authSource=admin", server.addr());
    let store = connect(&url("app:right@")).await;
    let shown = format!("{store:?}");
    assert!(!shown.contains("right") && shown.contains("shop.cloakroom"), "{shown}");
    for user in ["app:hunter2@", "nobody:hunter2@", ""] {
        let error = MongoStore::connect(&url(user), options()).await.expect_err("it is wrong");
        let shown = format!("{error:?} {}", causes(&error).join(" "));
        assert!(
            matches!(&error, ConnectError::Server { source, .. } if refused(source)),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_url_is_said_and_not_shown() {
    for url in ["mongodb://me:hun/ter2@localhost/shop", "redis://:ter2@localhost", "ter2"] {
        let error = MongoStore::connect(url, options()).await.expect_err("it is wrong");
        let shown = format!("{error:?} {}", causes(&error).join(" "));
        assert!(matches!(error, ConnectError::Url(_)) && !shown.contains("ter2"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_by_itself_keeps_sessions_and_tells_nobody_of_changes() {
    let server = Mongo::start_with(&["--standalone"]).await;
    let store = connect(&server.url()).await;
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.expect("it is created");
    assert!(store.feed().is_none());
    assert!(store.capabilities().shared && store.capabilities().keeps_endings);
    let done = store.commit(key, &visit(&record).set("cart", "1"), START).await;
    assert_eq!(done.expect("it answers"), Outcome::Done { version: 2 });
    assert_eq!(store.load(key, START).await.expect("it answers").map(|it| it.version), Some(2));
}
