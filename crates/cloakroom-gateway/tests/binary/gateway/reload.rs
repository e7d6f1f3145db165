//! A changed file, and a changed certificate, while clients are connected.

#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cloakroom_testkit::servers::Certificates;
use reqwest::{Client, StatusCode};
use rustix::process::Signal;
use tokio::sync::Notify;

use super::backend::{Backend, public, until};
use super::sockets::{Wire, by_tls, echo, handshake, played, secured, switched};
use super::support::{Gateway, browser};
use crate::support::{becomes, signal};

/// What a download comes in.
const PIECE: usize = 100_000;
const PIECES: usize = 4;
const IN_FORCE: &str = "the changed configuration is in force";

async fn status(client: &Client, gateway: &Gateway, path: &str) -> StatusCode {
    client.get(gateway.url(path)).send().await.expect("the gateway answers").status()
}

/// A server of one download, each of whose pieces but the first waits until it is asked for.
async fn downloads(go_on: Arc<Notify>) -> String {
    let address = played(move |mut wire| {
        let go_on = Arc::clone(&go_on);
        async move {
            _ = wire.head().await;
            let length = PIECE * PIECES;
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")).await;
            for _ in 0..PIECES {
                wire.send(vec![b'x'; PIECE]).await;
                go_on.notified().await;
            }
        }
    });
    format!("http://{}", address.await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_up_and_no_connection_is_dropped() {
    let (old, new) = (Backend::start("old").await, Backend::start("new").await);
    let go_on = Arc::new(Notify::new());
    let (slow, sockets) = (downloads(Arc::clone(&go_on)).await, played(echo).await);
    let before = format!(
        r#"
[[upstream]]
name = "app"
servers = ["{}"]
[[upstream]]
name = "slow"
servers = ["{slow}"]
[[upstream]]
name = "sockets"
servers = ["http://{sockets}"]
[[rule]]
path = "/new/**"
access = "deny"
[[rule]]
path = "/download"
access = "public"
upstream = "slow"
[[rule]]
path = "/socket"
access = "public"
upstream = "sockets"
[[rule]]
path = "/old/**"
access = "public"
upstream = "app"
"#,
        old.url()
    );
    let after = format!(
        r#"
[[upstream]]
name = "app"
servers = ["{}"]
[[rule]]
path = "/new/**"
access = "public"
upstream = "app"
"#,
        new.url()
    );
    let gateway = Gateway::start_logged(&before);
    let client = browser();
    assert_eq!(status(&client, &gateway, "/new/x").await, StatusCode::FORBIDDEN);

    let mut download = Wire::to(&gateway).await;
    download.send("GET /download HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(download.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(download.exactly(PIECE).await.len(), PIECE);
    let mut socket = Wire::to(&gateway).await;
    socket.send(handshake("/socket", "k")).await;
    switched(&mut socket, "k").await;
    let mut kept = Wire::to(&gateway).await;
    assert_eq!(kept.get("/old/x").await.1, b"old");

    gateway.rewrite(&after);
    let begun = Instant::now();
    let ask = async || status(&client, &gateway, "/new/x").await;
    becomes("the new rules are in force", ask, |status| *status == StatusCode::OK).await;
    println!("in force after {:?}", begun.elapsed());
    let (head, _) = kept.get("/old/x").await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert_eq!(kept.get("/new/x").await.1, b"new");
    assert_eq!(status(&client, &gateway, "/socket").await, StatusCode::FORBIDDEN);

    socket.send("still there").await;
    assert_eq!(socket.exactly(11).await, b"still there");
    for _ in 1..PIECES {
        go_on.notify_one();
        assert_eq!(download.exactly(PIECE).await.len(), PIECE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_and_the_old_one_stays() {
    let app = Backend::start("app").await;
    let good = public(&[app.url()], "");
    let gateway = Gateway::start_logged(&good);
    let client = browser();
    for (bad, why) in [
        (good.replace("public", "pubic"), "did you mean \"public\"?"),
        ("[[rule".to_owned(), "this is not TOML"),
        (
            format!(
                "[store]\nurl = \"memory:\"\n[login]\nusers = \"sqlite://sessions.db\"\n{good}"
            ),
            "at the start only: [store]. All of it",
        ),
        (format!("[limits]\nhead = \"3s\"\n{good}"), "at the start only: [limits]. All of it"),
        (format!("[session]\nidle = \"5m\"\n{good}"), "[session]"),
    ] {
        gateway.rewrite(&bad);
        until(why, || gateway.log().contains(why)).await;
        assert_eq!(status(&client, &gateway, "/").await, StatusCode::OK);
    }
    assert!(gateway.log().contains("cannot be used; the configuration before stays in force"));
    assert!(!gateway.log().contains(IN_FORCE));
    fs::remove_file(gateway.file()).unwrap();
    until("it is missed", || gateway.log().contains("is not there")).await;
    assert_eq!(status(&client, &gateway, "/").await, StatusCode::OK);
    gateway.rewrite(&good.replace("public", "deny"));
    let ask = async || status(&client, &gateway, "/").await;
    becomes("it is good again", ask, |status| *status == StatusCode::FORBIDDEN).await;
}

/// Nobody has asked for a log.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_answered_where_the_gateway_was_started() {
    let app = Backend::start("app").await;
    let good = public(&[app.url()], "");
    let gateway = Gateway::start_as(&good, |mut command| {
        let log = command.get_current_dir().expect("it has one").join("log");
        command.stderr(fs::File::create(log).expect("a file"));
        command
    });
    assert_eq!(gateway.log(), "");
    gateway.rewrite(&good.replace("public", "pubic"));
    until("it is refused", || gateway.log().contains("did you mean \"public\"?")).await;
    let refused = "cannot be used; the configuration before stays in force";
    assert_eq!(gateway.log().matches(refused).count(), 1);
    gateway.rewrite(&good.replace("public", "deny"));
    until("it is taken up", || gateway.log().contains(IN_FORCE)).await;
    gateway.rewrite(&format!("[limits]\nheaders = 50\n{good}"));
    until("it is for the start", || gateway.log().contains("at the start only: [limits].")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_has_the_file_read_again() {
    let app = Backend::start("app").await;
    let gateway = Gateway::start_logged(&public(&[app.url()], ""));
    let times = || gateway.log().matches(IN_FORCE).count();
    for count in 1..=3 {
        assert_eq!(times(), count - 1, "nothing has changed, and nobody has asked");
        signal(gateway.id(), Signal::HUP);
        until("it is read again", || times() == count).await;
    }
    assert_eq!(status(&browser(), &gateway, "/").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_while_the_file_changes_again_and_again() {
    let servers = [Backend::start("a").await, Backend::start("b").await];
    let config = |server: &Backend| public(&[server.url()], "");
    let gateway = Gateway::start(&config(&servers[0]));
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (url, stop) = (gateway.url("/"), Arc::clone(&stop));
            tokio::spawn(async move {
                let client = browser();
                while !stop.load(Ordering::SeqCst) {
                    let answer = client.get(&url).send().await.expect("an answer");
                    assert_eq!(answer.status(), StatusCode::OK);
                }
            })
        })
        .collect();
    for turn in 1..4 {
        let server = &servers[turn % 2];
        let before = server.asked();
        gateway.rewrite(&config(server));
        until("the other is asked", || server.asked() > before + 50).await;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("every request is served");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_shown_to_new_connections() {
    let (signed, renewed) = (Certificates::make(), Certificates::make());
    let app = Backend::start("app").await;
    let gateway = secured(&signed, &public(&[app.url()], ""));
    let first = by_tls(&gateway, &signed, &["http/1.1"]).await.expect("it is trusted");
    assert!(by_tls(&gateway, &renewed, &[]).await.is_err(), "of another authority");
    let mut kept = Wire::over(first);
    assert_eq!(kept.get("/").await.1, b"app");
    // Half of a change is none: the key does not belong to the certificate yet.
    fs::copy(renewed.server(), signed.server()).unwrap();
    assert!(by_tls(&gateway, &signed, &[]).await.is_ok());
    fs::copy(renewed.server_key(), signed.server_key()).unwrap();
    let look = async || {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        by_tls(&gateway, &renewed, &[]).await.is_ok()
    };
    becomes("the new one is shown", look, |shown| *shown).await;
    assert!(by_tls(&gateway, &signed, &[]).await.is_err(), "the old one is not");
    assert_eq!(kept.get("/").await.1, b"app", "who is connected stays so");
}
