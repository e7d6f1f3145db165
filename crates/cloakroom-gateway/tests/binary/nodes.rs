//! The two processes: what they share, and what becomes of one without the other.

use cloakroom_testkit::servers::Redis;
use reqwest::{Client, StatusCode};
use rustix::process::Signal;
use tempfile::tempdir;

use crate::support::{
    Demo, answers, ask, browser, command, log_in, session, signal, visit, wait_until,
};

#[tokio::test]
async fn parallel_visits_on_both_nodes_all_count() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    log_in(&me, &demo, 0).await;
    let visits = (0..64).map(|number| {
        let (me, url) = (me.clone(), demo.url(number % 2, "/api/visit"));
        tokio::spawn(async move { me.post(url).send().await.unwrap().error_for_status() })
    });
    for visit in visits.collect::<Vec<_>>() {
        visit.await.unwrap().expect("every visit is stored");
    }
    let counted = session(&me, &demo, 1).await;
    assert!(counted.contains(r#""visits":64"#), "{counted}");
}

#[tokio::test]
async fn a_killed_node_leaves_the_other_with_the_session_and_comes_back() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    log_in(&me, &demo, 0).await;
    assert_eq!(visit(&me, &demo, 0).await, 1);

    signal(demo.node_id(0), Signal::KILL);
    let said = demo.read_until("kill -USR1");
    assert!(said.contains("Node A was killed by signal 9."), "{said}");
    assert!(said.contains("Node B goes on with the same sessions"), "{said}");
    assert!(!answers(demo.ports[0]));
    assert_eq!(visit(&me, &demo, 1).await, 2);
    assert!(session(&me, &demo, 1).await.contains(r#""user":"alice""#));

    signal(demo.id(), Signal::USR1);
    demo.read_until("Node A is back");
    assert_eq!(visit(&me, &demo, 0).await, 3);
    assert!(session(&me, &demo, 0).await.contains(r#""user":"alice""#));
}

/// Sends one of the gateway's buttons, as a browser without scripts; the page that it leads to.
async fn press(client: &Client, demo: &Demo, path: &str, node: &str) -> (StatusCode, String) {
    let pressed = client.post(demo.front_url(path)).header("accept", "text/html");
    let answer = pressed.form(&[("node", node)]).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn one_address_goes_on_whichever_node_is_killed_and_however() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    assert!(demo.greeting.contains(&format!("Open     http://127.0.0.1:{}", demo.front)));
    let me = browser();
    let login = me.post(demo.front_url("/login"));
    let login = login.form(&[("user", "alice"), ("password", "wonderland")]).send().await.unwrap();
    assert!(login.text().await.unwrap().contains("Welcome, alice."));
    let mut visits = 0;
    let mut visit = async || {
        let answer = ask(me.post(demo.front_url("/api/visit"))).await;
        visits += 1;
        assert_eq!((answer.0, answer.1["visits"].as_u64()), (StatusCode::OK, Some(visits)));
        answer.1["node"].as_str().unwrap().to_owned()
    };
    let home = visit().await;
    assert_eq!(visit().await, home, "a session's key leads to one node");

    signal(demo.node_id(usize::from(home == "b")), Signal::KILL);
    demo.read_until("was killed by signal 9");
    assert_ne!(visit().await, home);
    press(&me, &demo, "/demo/bring-back", &home).await;
    for (node, other) in [("a", "b"), ("b", "a")] {
        let (status, page) = press(&me, &demo, "/demo/kill", node).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("Welcome, alice.") && page.contains("is down"), "{page}");
        demo.read_until("was killed by signal 9");
        // Often enough for the gateway to leave the node in peace.
        for _ in 0..4 {
            assert_eq!(visit().await, other);
        }
        let (status, page) = press(&me, &demo, "/demo/bring-back", node).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("by your session’s key"), "{page}");
        assert_eq!(visit().await, home, "it is there again as soon as it is back");
    }

    press(&me, &demo, "/demo/kill", "b").await;
    let (status, page) = press(&me, &demo, "/demo/kill", "a").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(page.contains("Both nodes are down") && page.contains("Bring node B back"), "{page}");
    // Node B's port is taken meanwhile.
    let held = std::net::TcpListener::bind(("127.0.0.1", demo.ports[1])).unwrap();
    let (status, page) = press(&me, &demo, "/demo/bring-back", "b").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{page}");
    drop(held);
    press(&me, &demo, "/demo/bring-back", "b").await;
    assert_eq!(visit().await, "b");
}

#[tokio::test]
async fn no_page_elsewhere_kills_a_node() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    let own = format!("127.0.0.1:{}", demo.front);
    // The page of a node's own address is another origin, too.
    let node = format!("http://127.0.0.1:{}", demo.ports[0]);
    for (host, name, value, status) in [
        (&*own, "sec-fetch-site", "cross-site", StatusCode::FORBIDDEN),
        (&own, "sec-fetch-site", "same-site", StatusCode::FORBIDDEN),
        (&own, "origin", "http://evil.example", StatusCode::FORBIDDEN),
        (&own, "origin", &node, StatusCode::FORBIDDEN),
        ("evil.example", "sec-fetch-site", "same-origin", StatusCode::MISDIRECTED_REQUEST),
    ] {
        for path in ["/demo/kill", "/demo/bring-back"] {
            let asked = me.post(demo.front_url(path)).header("host", host).header(name, value);
            let answer = asked.form(&[("node", "a")]).send().await.unwrap();
            assert_eq!(answer.status(), status, "{host} {name}: {value}");
        }
    }
    let looked = me.get(demo.front_url("/demo/kill?node=a")).send().await.unwrap();
    assert_eq!((looked.status(), looked.url().path()), (StatusCode::OK, "/"));
    for body in ["node=c", "", "node=a&node=b"] {
        let asked = me.post(demo.front_url("/demo/kill")).body(body);
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        assert_eq!(asked.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "{body}");
    }
    assert!(answers(demo.ports[0]) && answers(demo.ports[1]));
    // What the gateway tells a node of the way, nobody else does.
    let told = r#"{"by":"key","down":"a"}"#;
    let page = me.get(demo.front_url("/")).header("x-demo-way", told).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("by your address") && !page.contains("is down"), "{page}");
}

#[tokio::test]
async fn two_killed_nodes_come_back_together() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    log_in(&me, &demo, 0).await;
    signal(demo.node_id(0), Signal::KILL);
    let said = demo.read_until("kill -USR1");
    assert!(said.contains("To bring node A back:"), "{said}");
    signal(demo.node_id(1), Signal::KILL);
    let said = demo.read_until("kill -USR1");
    assert!(said.contains("Both nodes are down."), "{said}");
    assert!(said.contains("To bring both nodes back:"), "{said}");

    // Node A's port is taken meanwhile.
    let held = std::net::TcpListener::bind(("127.0.0.1", demo.ports[0])).unwrap();
    signal(demo.id(), Signal::USR1);
    let said = demo.read_until("kill -USR1");
    assert!(said.contains("Node B is back"), "{said}");
    assert!(said.contains("To bring node A back:"), "{said}");
    drop(held);
    signal(demo.id(), Signal::USR1);
    demo.read_until("Node A is back");
    assert!(session(&me, &demo, 0).await.contains(r#""user":"alice""#));
}

#[tokio::test]
async fn sessions_outlive_a_restart_of_everything() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    assert!(demo.greeting.contains("cloakroom-demo/sessions.db"), "{}", demo.greeting);
    let me = browser();
    log_in(&me, &demo, 0).await;
    visit(&me, &demo, 0).await;
    let ports = demo.ports;
    assert_eq!(demo.stop().code(), Some(0));
    assert!(!answers(ports[0]) && !answers(ports[1]), "both nodes ended before the demo did");

    let again = Demo::start(dir.path(), &[]);
    let kept = r#"{"node":"b","user":"alice","visits":1,"cart":{},"new":false}"#;
    assert_eq!(session(&me, &again, 1).await, kept);
}

#[tokio::test]
async fn ctrl_c_ends_all_in_order() {
    let dir = tempdir().unwrap();
    let mut demo = Demo::start(dir.path(), &[]);
    // A terminal sends it to the nodes as well.
    for id in [demo.node_id(0), demo.node_id(1), demo.id()] {
        signal(id, Signal::INT);
    }
    let said = demo.read_until("The sessions stay in SQLite");
    assert!(said.contains("Ending both nodes."), "{said}");
    assert!(!said.contains("was killed"), "{said}");
    demo.kill();
}

#[tokio::test]
async fn nodes_end_when_the_demo_dies() {
    let dir = tempdir().unwrap();
    let mut demo = Demo::start(dir.path(), &[]);
    let ports = demo.ports;
    demo.kill();
    wait_until("both nodes end", || ports.iter().all(|port| !answers(*port)));
}

#[tokio::test]
async fn the_log_tells_endings_and_no_token() {
    what_a_log_tells(&[]).await;
}

#[tokio::test]
async fn the_log_of_a_node_with_a_cache_tells_no_more() {
    let redis = Redis::start().await;
    let url = format!("redis://default:hunter2@{}", redis.addr());
    let log = what_a_log_tells(&["--store", &url]).await;
    assert!(!log.contains("hunter2"), "{log}");
}

/// What is logged of a visit from its login to its logout, when everything is.
async fn what_a_log_tells(arguments: &[&str]) -> String {
    let (dir, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    let path = elsewhere.path().join("log");
    let log = || std::fs::read_to_string(&path).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut command = command(dir.path());
    let demo = Demo::run(command.env("RUST_LOG", "trace").stderr(file), arguments);
    let me = browser();
    let login = me.post(demo.url(0, "/api/login"));
    let login = login.json(&serde_json::json!({ "user": "alice", "password": "wonderland" }));
    let answer = login.send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    assert!(token.len() > 40, "{cookie}");
    visit(&me, &demo, 1).await;
    ask(me.post(demo.url(1, "/api/logout"))).await;

    wait_until("the ending is told", || log().contains("a session has ended"));
    assert!(log().contains("reason=\"logged_out\" key=s-"), "{}", log());
    assert!(!log().contains(token) && !log().contains("wonderland"), "no token, no password");
    assert!(!log().contains(&token[token.len() - 20..]), "nor a part of its secret");
    log()
}
