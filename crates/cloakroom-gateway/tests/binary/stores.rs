//! The demo over each store, and over one that has gone away.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use cloakroom_testkit::servers::Redis;
use reqwest::StatusCode;
use tempfile::tempdir;

use crate::support::{
    BOUND, Demo, answers, ask, becomes, browser, command, log_in, session, visit,
};

#[tokio::test]
async fn memory_is_shared_by_two_nodes_in_one_process() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &["--store", "memory:"]);
    assert!(demo.greeting.contains("two nodes in one process"), "{}", demo.greeting);
    let me = browser();
    log_in(&me, &demo, 0).await;
    visit(&me, &demo, 0).await;
    let kept = r#"{"node":"b","user":"alice","visits":1,"cart":{},"new":false}"#;
    assert_eq!(session(&me, &demo, 1).await, kept);
    assert_eq!(demo.stop().code(), Some(0));
    assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nothing was written");
}

#[tokio::test]
async fn a_node_that_is_killed_takes_its_connections_along() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &["--store", "memory:"]);
    let mut held = TcpStream::connect(("127.0.0.1", demo.ports[0])).unwrap();
    held.set_read_timeout(Some(BOUND)).unwrap();
    held.write_all(b"GET /api/session HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let answered = held.read(&mut [0; 4096]).unwrap();
    assert!(answered > 0, "and it stays open for another");
    let me = browser();
    let kill = me.post(demo.front_url("/demo/kill")).form(&[("node", "a")]).send().await.unwrap();
    assert_eq!(kill.status(), StatusCode::OK);
    let said = demo.read_until("goes on with the same sessions");
    assert!(said.contains("Node A was killed, with its listener"), "{said}");
    assert!(!answers(demo.ports[0]) && answers(demo.ports[1]));
    let ended = held.read(&mut [0; 64]).map_err(|error| error.kind());
    assert!(matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)), "{ended:?}");
    assert_eq!(visit(&me, &demo, 1).await, 1);
}

#[tokio::test]
async fn a_file_of_ones_own_is_used() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &["--store", "sqlite://mine.db"]);
    let me = browser();
    log_in(&me, &demo, 0).await;
    assert!(dir.path().join("mine.db").exists());
    assert!(session(&me, &demo, 1).await.contains(r#""user":"alice""#));
}

#[tokio::test]
async fn redis_holds_the_sessions_and_its_password_is_nowhere_to_be_seen() {
    let redis = Redis::start().await;
    let dir = tempdir().unwrap();
    // A server without a password takes any.
    let url = format!("redis://default:hunter2@{}/", redis.addr());
    let demo = Demo::run(command(dir.path()).env("CLOAKROOM_STORE", &url), &[]);
    let me = browser();
    log_in(&me, &demo, 0).await;
    assert_eq!(visit(&me, &demo, 1).await, 1);
    assert!(session(&me, &demo, 1).await.contains(r#""user":"alice""#));
    assert!(demo.greeting.contains(", which outlives the demo"), "{}", demo.greeting);

    let page = me.get(demo.url(0, "/")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(&format!("Redis at {}", redis.addr())), "{page}");
    assert!(!page.contains("hunter2") && !demo.greeting.contains("hunter2"));
    for (node, what) in [(0, "cmdline"), (0, "environ"), (1, "cmdline"), (1, "environ")] {
        let path = format!("/proc/{}/{what}", demo.node_id(node));
        let seen = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!seen.is_empty() && !seen.contains("hunter2"), "{path}: {seen}");
    }
}

#[tokio::test]
async fn a_redis_server_that_forgets_is_not_said_to_remember() {
    let redis = Redis::start_with(&["--appendonly", "no", "--save", ""]).await;
    let (dir, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    let path = elsewhere.path().join("log");
    let file = std::fs::File::create(&path).unwrap();
    let mut command = command(dir.path());
    let demo = Demo::run(command.stderr(file), &["--store", &redis.url()]);
    let line = format!("Redis at {}, which forgets sessions when it restarts", redis.addr());
    assert!(demo.greeting.contains(&line), "{}", demo.greeting);
    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.contains("every session ends when it restarts; set `appendonly yes`"), "{log}");
}

#[tokio::test]
async fn a_file_that_is_removed_is_not_written_to_in_silence() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &["--store", "sqlite://mine.db"]);
    let me = browser();
    log_in(&me, &demo, 0).await;
    std::fs::remove_file(dir.path().join("mine.db")).unwrap();
    for node in [0, 1] {
        let (status, refusal) = ask(me.post(demo.url(node, "/api/visit"))).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{refusal}");
        let (status, refusal) = ask(me.get(demo.url(node, "/api/session"))).await;
        assert_eq!(
            (status, &refusal["error"]),
            (StatusCode::SERVICE_UNAVAILABLE, &"store_unavailable".into())
        );
    }
}

#[tokio::test]
async fn a_store_that_goes_away_signs_nobody_out() {
    // Otherwise a busy disk lets the server answer before it has written, and the kill loses it.
    let mut redis = Redis::start_with(&["--appendfsync", "always"]).await;
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &["--store", &redis.url()]);
    let me = browser();
    log_in(&me, &demo, 0).await;

    redis.kill();
    // A node may have the session in its cache until it hears that the server is gone.
    let asked = || ask(me.get(demo.url(0, "/api/session")));
    let (status, refusal) =
        becomes("node A knows", asked, |(status, _)| *status != StatusCode::OK).await;
    assert_eq!(
        (status, &refusal["error"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"store_unavailable".into())
    );
    let asked = async || me.get(demo.url(1, "/")).send().await.unwrap();
    let page = becomes("node B knows", asked, |page| page.status() != StatusCode::OK).await;
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.headers()["retry-after"], "1");
    assert!(page.headers().get("set-cookie").is_none(), "the cookies stay");
    let text = page.text().await.unwrap();
    assert!(text.contains("You are not signed out"), "{text}");
    // Enough to open the circuit: it has to close again by itself.
    for node in [0, 1] {
        for _ in 0..20 {
            let (status, _) = ask(me.post(demo.url(node, "/api/visit"))).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        }
    }

    let _redis = redis.restart().await;
    for node in [0, 1] {
        let asked = || ask(me.get(demo.url(node, "/api/session")));
        let back = becomes("the node is back", asked, |(status, _)| *status == StatusCode::OK);
        assert_eq!(back.await.1["user"], "alice");
    }
}
