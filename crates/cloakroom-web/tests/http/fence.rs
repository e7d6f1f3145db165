//! The fence: what a client returns, so that no node shows it an older session than it has seen.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use cloakroom_core::MemoryStore;
use cloakroom_core::store::{Near, NearOptions};
use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::near;
use cloakroom_testkit::servers::Redis;
use cloakroom_testkit::stores::{Call, Pace};
use cloakroom_web::{CookieConfig, SameSite, SessionLayer, Transport};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Method, Request};

use crate::app::{Node, World, routes};
use crate::browser::{Answer, Browser, send};
use crate::cached::{Cached, pass, two_nodes};

const VERSION: &str = "cloakroom-version";

/// A node's routes, with another transport.
fn by(transport: Transport, node: &Node) -> Router {
    routes().layer(SessionLayer::new(node.sessions.clone()).transport(transport))
}

fn cookie(version: u64) -> String {
    format!("__Host-id-v={version}; Path=/; SameSite=Lax; HttpOnly; Max-Age=5; Secure")
}

#[tokio::test(start_paused = true)]
async fn every_write_sends_it_beside_the_token() {
    let Cached { world, .. } = two_nodes().await;
    let (router, browser) = (&world.node().router, Browser::default());
    let made = browser.post(router, "/count").await;
    assert!(made.set_cookie().unwrap().starts_with("__Host-id="), "{made:?}");
    assert_eq!(made.fence(), Some(&*cookie(1)));
    let written = browser.post(router, "/count").await.keeps_token();
    assert_eq!(written.fence(), Some(&*cookie(2)));
    assert_eq!(written.header(VERSION), None);
    let failed = browser.post(router, "/fail").await.keeps_token();
    assert_eq!(failed.fence(), Some(&*cookie(3)), "a 5xx commits too");
    let login = browser.post(router, "/login/ada").await;
    assert!(login.set_cookie().is_some() && login.fence() == Some(&*cookie(4)), "{login:?}");
    let logout = browser.post(router, "/logout").await;
    assert!(logout.set_cookie().unwrap().contains("Max-Age=0"));
    assert_eq!(logout.fence(), None);
}

#[tokio::test(start_paused = true)]
async fn it_has_the_attributes_of_the_tokens_cookie_and_a_life_of_its_own() {
    let Cached { world, .. } = two_nodes().await;
    let shop = CookieConfig::new("shop").same_site(SameSite::Strict).persistent(true);
    for (config, expected) in [
        (
            shop.clone().domain("example.org").partitioned(true),
            "__Secure-shop-v=1; Path=/; Domain=example.org; SameSite=Strict; HttpOnly; \
             Max-Age=5; Secure; Partitioned",
        ),
        (
            shop.path("/a").insecure_plain_http().http_only(false),
            "shop-v=1; Path=/a; SameSite=Strict; Max-Age=5",
        ),
    ] {
        let router = by(Transport::cookie(config).unwrap(), world.node());
        assert_eq!(Browser::default().post(&router, "/count").await.fence(), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_gets_it_only_while_another_node_may_have_an_older_one() {
    let Cached { world, store, .. } = two_nodes().await;
    let [a, b] = [&world.nodes[0].router, &world.nodes[1].router];
    let browser = Browser::default();
    browser.post(a, "/count").await.ok();
    browser.get(b, "/read").await.sets_nothing().ok();
    let unfenced = || Browser::with(browser.cookie());
    for router in [a, b] {
        let read = unfenced().get(router, "/read").await.keeps_token();
        assert_eq!(read.fence(), Some(&*cookie(1)), "a node has it for a moment only");
        assert_eq!(read.header("cache-control"), None);
    }
    pass(Duration::from_secs(2)).await;
    store.take();
    for router in [a, b] {
        assert_eq!(unfenced().get(router, "/read").await.sets_nothing().ok(), "1");
    }
    assert_eq!(store.total(), 0);
    assert!(browser.fence().is_some());
    pass(Duration::from_secs(4)).await;
    assert_eq!(browser.fence(), None, "its time is over");
    browser.get(b, "/plain").await.sets_nothing().ok();
}

#[tokio::test(start_paused = true)]
async fn a_client_reads_its_own_write_from_a_node_that_hears_of_none() {
    let Cached { world, handles, store } = two_nodes().await;
    let [a, b] = [&world.nodes[0].router, &world.nodes[1].router];
    let browser = Browser::default();
    browser.post(a, "/count").await.ok();
    assert_eq!(browser.get(b, "/read").await.ok(), "1");
    handles[1].wire().set_pace(Pace::Silent);
    for count in ["2", "3"] {
        let unfenced = Browser::with(browser.cookie());
        let before = browser.get(b, "/read").await.ok();
        browser.post(a, "/count").await.ok();
        store.take();
        let stale = unfenced.get(b, "/read").await.ok();
        assert_eq!((stale, store.total()), (before, 0), "the cache is old");
        assert_eq!(browser.get(b, "/read").await.sets_nothing().ok(), count);
        assert_eq!(browser.get(b, "/read").await.ok(), count);
        assert_eq!(store.count(Call::Load), 1);
    }
    // It writes there, too: on what it has read.
    assert_eq!(browser.post(b, "/count").await.ok(), "4");
    assert_eq!(browser.get(a, "/read").await.ok(), "4");
}

#[tokio::test(start_paused = true)]
async fn a_write_from_an_old_cache_costs_a_retry_and_no_update() {
    let Cached { world, handles, store } = two_nodes().await;
    let [a, b] = [&world.nodes[0].router, &world.nodes[1].router];
    let browser = Browser::default();
    browser.post(a, "/count").await.ok();
    let unfenced = Browser::with(browser.cookie());
    unfenced.get(b, "/read").await.ok();
    handles[1].wire().set_pace(Pace::Silent);
    browser.post(a, "/count").await.ok();
    let unfenced = Browser::with(browser.cookie());
    store.take();
    unfenced.post(b, "/count").await.ok();
    assert_eq!(store.count(Call::Commit), 2, "one met a conflict");
    assert_eq!(browser.get(a, "/read").await.ok(), "3");
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_is_served_by_a_node_that_hears_nothing_for_as_long_as_its_lease() {
    let Cached { world, handles, .. } = two_nodes().await;
    let [a, b] = [&world.nodes[0].router, &world.nodes[1].router];
    let browser = Browser::default();
    browser.post(a, "/login/ada").await.ok();
    browser.get(b, "/who").await.ok();
    let thief = browser.copy();
    handles[1].wire().set_pace(Pace::Silent);
    browser.post(a, "/logout").await.ok();
    assert_eq!(thief.get(a, "/who").await.ok(), "nobody", "the node that ended it knows");
    assert_eq!(thief.get(b, "/who").await.ok(), "ada");
    // A write never passes.
    thief.post(b, "/count").await.expect(http::StatusCode::UNAUTHORIZED);
    let NearOptions { heartbeat, lease, .. } = NearOptions::default();
    pass(heartbeat + lease).await;
    assert_eq!(thief.get(b, "/who").await.ok(), "nobody");
    handles[1].wire().set_pace(Pace::AtOnce);
    pass(heartbeat + lease).await;
    assert_eq!(thief.get(b, "/who").await.ok(), "nobody");
}

/// Reads with these fences beside the browser's token.
async fn read_with(router: &Router, browser: &Browser, fences: &[&[u8]]) -> Answer {
    let mut cookies = browser.cookie().unwrap().into_bytes();
    for fence in fences {
        cookies.extend([b"; __Host-id-v=", *fence].concat());
    }
    let mut request = Request::get("/read").body(Body::empty()).unwrap();
    request.headers_mut().insert(COOKIE, HeaderValue::from_bytes(&cookies).unwrap());
    send(router, request).await
}

#[tokio::test(start_paused = true)]
async fn a_forged_one_costs_a_read_and_is_put_right() {
    let Cached { world, store, .. } = two_nodes().await;
    let (router, browser) = (&world.node().router, Browser::default());
    browser.post(router, "/count").await.ok();
    browser.get(router, "/read").await.ok();
    pass(Duration::from_secs(2)).await;
    let digits = "0".repeat(3000) + "9";
    for fences in [
        &[&b"2"[..]][..],
        &[b"999999"],
        &[b"18446744073709551615"],
        &[b"\"7\""],
        &[digits.as_bytes()],
        &[b"1", b"99"],
        &[b"99", b"1"],
        &[b"99", b"abc", b"98"],
    ] {
        store.take();
        let read = read_with(router, &browser, fences).await.keeps_token();
        assert_eq!((read.fence(), store.count(Call::Load)), (Some(&*cookie(1)), 1));
        assert_eq!(read.ok(), "1");
        store.take();
        pass(Duration::from_secs(2)).await;
        assert_eq!(read_with(router, &browser, &[b"1"]).await.sets_nothing().ok(), "1");
        assert_eq!(store.total(), 0, "it was put right");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_version_says_nothing() {
    let Cached { world, store, .. } = two_nodes().await;
    let (router, browser) = (&world.node().router, Browser::default());
    browser.post(router, "/count").await.ok();
    browser.get(router, "/read").await.ok();
    pass(Duration::from_secs(2)).await;
    store.take();
    let digits = "9".repeat(3000);
    for none in [
        &b""[..],
        b"-1",
        b"+2",
        b"1.5",
        b"0x7",
        b"abc",
        b"18446744073709551616",
        digits.as_bytes(),
        b"2 2",
        b"\xff\xfe",
        "\u{662}".as_bytes(),
    ] {
        let read = read_with(router, &browser, &[none]).await;
        assert_eq!(read.sets_nothing().ok(), "1");
    }
    assert_eq!(store.total(), 0);
}

/// Sends a request of a client that keeps no cookies.
async fn program(router: &Router, path: &str, headers: &[(&'static str, String)]) -> Answer {
    let mut request = Browser::default().request(Method::POST, path, "");
    if path == "/read" {
        *request.method_mut() = Method::GET;
    }
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    send(router, request).await.sets_nothing()
}

#[tokio::test(start_paused = true)]
async fn it_travels_in_a_header_beside_a_token_in_one() {
    let either = Transport::cookie_or_bearer(CookieConfig::default()).unwrap();
    for transport in [Transport::bearer(), either] {
        let Cached { world, handles, store } = two_nodes().await;
        let [a, b] = [0, 1].map(|node| by(transport.clone(), &world.nodes[node]));
        let made = program(&a, "/count", &[("authorization", "Bearer".to_owned())]).await;
        assert_eq!(made.header(VERSION), Some("1"));
        let token = made.header("x-session-token").unwrap();
        let token = ("authorization", format!("Bearer {token}"));
        let version = |version: &str| (VERSION, version.to_owned());
        let read = program(&b, "/read", &[token.clone(), version("1")]).await;
        assert_eq!((read.header(VERSION), &*read.body), (None, "1"));

        handles[1].wire().set_pace(Pace::Silent);
        let written = program(&a, "/count", &[token.clone(), version("1")]).await;
        assert_eq!((written.header(VERSION), &*written.body), (Some("2"), "2"));
        store.take();
        let stale = program(&b, "/read", std::slice::from_ref(&token)).await;
        assert_eq!((&*stale.body, store.total()), ("1", 0));
        // A cookie is none of its fences.
        let cookie = ("cookie", "__Host-id-v=2".to_owned());
        assert_eq!(program(&b, "/read", &[token.clone(), cookie]).await.ok(), "1");
        assert_eq!(program(&b, "/read", &[token.clone(), version("2")]).await.ok(), "2");
        assert_eq!(store.take()[&Call::Load], 1);

        let forged = program(&b, "/read", &[token.clone(), version("99")]).await;
        assert_eq!((forged.header(VERSION), &*forged.body), (Some("2"), "2"));
        assert_eq!(store.take()[&Call::Load], 1);
        for none in ["", "x", "-1"] {
            assert_eq!(program(&b, "/read", &[token.clone(), version(none)]).await.ok(), "2");
        }
        assert_eq!(store.total(), 0);
    }
}

#[tokio::test]
async fn there_is_none_where_no_node_has_a_cache() {
    let world = World::over(MemoryStore::new());
    let (router, browser) = (&world.node().router, Browser::default());
    let made = browser.post(router, "/count").await;
    assert_eq!((made.fence(), made.header(VERSION)), (None, None));
    browser.post(router, "/count").await.sets_nothing().ok();
    let read = read_with(router, &browser, &[b"99"]).await.sets_nothing();
    assert_eq!(read.ok(), "2");
    let bearer = by(Transport::bearer(), world.node());
    let made = Browser::default().post(&bearer, "/count").await;
    assert!(made.header("x-session-token").is_some() && made.header(VERSION).is_none());
}

#[tokio::test]
async fn it_is_no_secret_and_no_token() {
    let Cached { world, .. } = two_nodes().await;
    let (router, browser) = (&world.node().router, Browser::default());
    let made: HeaderMap = browser.post(router, "/count").await.headers;
    assert!(format!("{made:?}").contains("__Host-id-v=1"), "logs may show it");
    let fence = browser.fence().unwrap();
    let alone = Browser::with(Some(fence));
    assert_eq!(alone.get(router, "/option").await.sets_nothing().ok(), "none");
}

const ROUNDS: u64 = 200;

/// Without waiting for what a server tells: it comes when it comes.
#[tokio::test(flavor = "multi_thread")]
async fn over_a_real_server_each_node_shows_what_another_has_just_written() {
    let server = Redis::start().await;
    let (mut nodes, mut stores) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let store = RedisStore::connect(&server.url(), Options::default()).await.unwrap();
        let near = cloakroom_web::near(store, NearOptions::default()).unwrap();
        near::trust(&near).await;
        let near: std::sync::Arc<Near<RedisStore>> = near.into();
        nodes.push(std::sync::Arc::clone(&near));
        stores.push(near as std::sync::Arc<dyn cloakroom_core::Store>);
    }
    let world = World::of_nodes(stores, &cloakroom_core::Policy::default());
    let browser = Browser::default();
    for round in 1..=ROUNDS {
        let writes = usize::try_from(round).unwrap() % 2;
        let [writes, reads] = [writes, 1 - writes].map(|node| &world.nodes[node].router);
        assert_eq!(browser.post(writes, "/count").await.ok(), round.to_string());
        assert_eq!(browser.get(reads, "/read").await.ok(), round.to_string());
        assert_eq!(browser.get(writes, "/read").await.ok(), round.to_string());
    }
    let hits: u64 = nodes.iter().map(|node| node.stats().hits).sum();
    assert!(hits > ROUNDS, "the caches were at work: {hits}");
}
