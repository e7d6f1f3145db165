//! The gateway behind each of the proxies that `deploy/` has a configuration for: all of them real.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cloakroom_testkit::servers::Redis;
use tempfile::TempDir;

use super::fronts::{Front, Running, Service};
use crate::support::free_port;

const BOUND: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(20);
const NAVIGATES: (&str, &str) = ("Accept", "text/html");
const JSON: (&str, &str) = ("Accept", "application/json");

/// The real gateway, with its sessions in Redis.
struct Gateway {
    addr: SocketAddr,
    child: Child,
    place: TempDir,
}

impl Gateway {
    fn start(store: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let config = format!(
            r#"
trusted_proxies = ["127.0.0.1"]
[store]
url = "{store}"
[session.cookie]
insecure_plain_http = true
[[listen]]
address = "{addr}"
[[rule]]
path = "/sku/**"
access = "deny"
[[rule]]
path = "/order/**"
access = "login"
[[rule]]
path = "/boss/**"
access = "role:boss"
[[rule]]
path = "/**"
access = "public"
anonymous_id = true
[forward_auth]
from = ["127.0.0.1"]
[login]
title = "The Shop"
"#
        );
        fs::write(place.path().join("cloakroom.toml"), config).unwrap();
        let said = File::create(place.path().join("said")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
            .arg("run")
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let mut gateway = Self { addr, child, place };
        gateway.wait_until_it_says("Ctrl-C ends it.");
        gateway
    }

    fn said(&self) -> String {
        said_in(self.place.path())
    }

    fn wait_until_it_says(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.said().contains(text) {
            assert!(self.child.try_wait().unwrap().is_none(), "it has ended: {}", self.said());
            assert!(begun.elapsed() < BOUND, "waited in vain for {text:?}: {}", self.said());
            thread::sleep(EVERY);
        }
    }

    /// The password that the first start shows once.
    fn password(&self) -> String {
        let said = self.said();
        let after = said.split_once("with the password `").unwrap().1;
        after.split_once('`').unwrap().0.to_owned()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said_in(place: &Path) -> String {
    fs::read_to_string(place.join("said")).unwrap_or_default()
}

async fn judges_behind(front: Front) {
    let redis = Redis::start().await;
    tokio::task::spawn_blocking(move || judges(front, redis)).await.unwrap();
}

fn judges(front: Front, mut redis: Redis) {
    let gateway = Gateway::start(&redis.url());
    let service = Service::start();
    let proxy = front.start(gateway.addr, service.addr);

    let login = proxy.send("GET", "/order/1?a=b", &[NAVIGATES]);
    assert!([302, 303].contains(&login.status), "{login:?}");
    let page =
        proxy.send("GET", login.header("location"), &[NAVIGATES, ("Cookie", &login.cookies())]);
    assert!(page.status == 200 && page.body.contains("password"), "{page:?}");
    assert_eq!(proxy.send("GET", "/order/1", &[JSON]).status, 401);
    assert_eq!(service.seen().len(), 0);

    let cookie = sign_in(&proxy, &gateway.password());
    forwards(&proxy, &service, &cookie);
    keeps_the_token(&proxy, &service, &gateway.password());
    upgrades(&proxy, &service, &cookie);
    let alice = ("Cookie", &*cookie);
    for refused in ["/sku/1", "/boss/1"] {
        assert_eq!(proxy.send("GET", refused, &[alice]).status, 403, "{refused}");
        let page = proxy.send("GET", refused, &[alice, NAVIGATES]);
        // nginx has pages of its own for what it asked about.
        assert!(front == Front::Nginx || page.body.contains("The Shop"), "{page:?}");
    }
    for other in
        ["//sku/1", "/x/../sku/1", "/%73ku/1", "/x;/../sku/1", "/sku;x/1", "/x%2f..%2fsku/1"]
    {
        let answer = proxy.send("GET", other, &[alice]);
        assert_ne!(answer.status, 200, "{other}: {answer:?}");
    }
    assert_eq!(service.seen().len(), 0, "nothing of it has reached the service");

    redis.kill();
    let begun = Instant::now();
    // What is cached counts until its lease is over.
    while proxy.send("GET", "/order/1", &[alice]).status != 503 {
        assert!(begun.elapsed() < BOUND, "the store is away, and nobody says so");
        thread::sleep(EVERY);
    }
    assert_eq!(proxy.send("GET", "/order/1", &[alice]).header("set-cookie"), "");
    assert_eq!(proxy.send("GET", "/public", &[]).status, 200);
}

/// Signs in by the gateway's API, through the proxy. Returns the cookies.
fn sign_in(proxy: &Running, password: &str) -> String {
    let body = format!(r#"{{"username":"admin","password":"{password}"}}"#);
    let origin = format!("http://{}", proxy.addr);
    let headers = [("Content-Type", "application/json"), ("Origin", &*origin), JSON];
    let answer = proxy.send_with("POST", "/.cloakroom/api/login", &headers, &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.cookies()
}

fn forwards(proxy: &Running, service: &Service, cookie: &str) {
    let cookies = format!("{cookie}; theme=dark");
    let headers = [
        ("Cookie", &*cookies),
        ("X-User-Id", "root"),
        ("X_User_Id", "root"),
        ("X.User.Id", "root"),
        ("X-User-Roles", "boss"),
        ("X-Anonymous-Id", "root"),
    ];
    assert_eq!(proxy.send("GET", "/order/1?a=b", &headers).status, 200);
    let seen = service.seen().pop().unwrap();
    assert!(seen.line.starts_with("GET /order/1?a=b "), "{seen:?}");
    assert_eq!(seen.taken_for("x-user-id"), ["admin"]);
    assert_eq!(seen.taken_for("x-user-roles"), ["admin"]);
    assert_eq!(seen.taken_for("x-session-key").len(), 1);
    assert_eq!(seen.taken_for("x-anonymous-id"), [""; 0]);
    assert_eq!(seen.taken_for("cookie"), ["theme=dark"], "no service sees a token");
}

/// An app that keeps no cookies is known by its token, which goes no further than to the gateway.
fn keeps_the_token(proxy: &Running, service: &Service, password: &str) {
    let body = format!(r#"{{"username":"admin","password":"{password}"}}"#);
    let headers = [("Content-Type", "application/json"), ("Authorization", "Bearer"), JSON];
    let answer = proxy.send_with("POST", "/.cloakroom/api/login", &headers, &body);
    let token = answer.header("x-session-token");
    assert!(answer.status == 200 && !token.is_empty(), "{answer:?}");
    let bearer = format!("Bearer {token}");
    let carried =
        [("Authorization", &*bearer), ("X-Session-Token", token), ("Cloakroom-Version", "1"), JSON];
    let answer = proxy.send("GET", "/order/1", &carried);
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = service.seen().pop().unwrap();
    assert_eq!(seen.taken_for("x-user-id"), ["admin"], "{seen:?}");
    for name in ["authorization", "x-session-token", "cloakroom-version"] {
        assert_eq!(seen.taken_for(name), [""; 0], "no service sees a token: {seen:?}");
    }
}

/// To WebSocket, and to no other form of HTTP, whose requests nobody would judge.
fn upgrades(proxy: &Running, service: &Service, cookie: &str) {
    for (protocol, upgrades) in [("websocket", true), ("h2c", false)] {
        let head = format!("GET /order/1 HTTP/1.1\r\nCookie: {cookie}\r\nConnection: Upgrade");
        let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        let request = format!("{head}\r\nUpgrade: {protocol}\r\n{key}\r\n\r\n");
        let answer = proxy.exchange(&request);
        assert_eq!(answer.status == 101, upgrades, "{protocol}: {answer:?}");
        assert_eq!(service.seen().len(), 1, "{protocol}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_asks_the_gateway() {
    judges_behind(Front::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traefik_asks_the_gateway() {
    judges_behind(Front::Traefik).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_asks_the_gateway() {
    judges_behind(Front::Caddy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_asks_the_gateway() {
    judges_behind(Front::Envoy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_asks_the_gateway() {
    judges_behind(Front::Haproxy).await;
}
