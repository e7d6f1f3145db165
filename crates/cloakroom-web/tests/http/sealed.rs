//! Sessions that browsers keep, sealed.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use cloakroom_core::keeping::{KeyRing, Sealed};
use cloakroom_core::{Clock, MemoryStore, Sessions, Slot, Store};
use cloakroom_testkit::ManualClock;
use cloakroom_testkit::stores::{Fail, Failing};
use cloakroom_web::{CookieConfig, Refusal, Session, SessionLayer, TokioTimer, Transport};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderValue, Method, Request, StatusCode};

use crate::app::{Node, routes};
use crate::browser::{Answer, Browser, send};
use crate::failure::is_unavailable;

fn sessions(sealed: impl Into<Sealed>, clock: &ManualClock) -> Sessions {
    Sessions::sealed(sealed, TokioTimer).clock(clock.clone()).build().unwrap()
}

/// A node and its clock.
fn node(sealed: impl Into<Sealed>) -> (Router, ManualClock) {
    let clock = ManualClock::default();
    (Node::of(sessions(sealed, &clock)).router, clock)
}

async fn set(router: &Router, browser: &Browser, name: &str, value: &str) -> Answer {
    browser.send(router, Method::POST, &format!("/attribute/{name}"), value).await
}

#[tokio::test]
async fn what_one_node_has_sealed_the_other_opens() {
    let (ring, clock) = (KeyRing::generate(), ManualClock::default());
    let nodes = [0, 1].map(|_| Node::of(sessions(ring.clone(), &clock)).router);
    let browser = Browser::default();
    assert_eq!(browser.get(&nodes[0], "/read").await.sets_nothing().ok(), "0");
    assert_eq!(browser.get(&nodes[0], "/option").await.sets_nothing().ok(), "none");
    for count in 1..=4 {
        let (writes, reads) = (&nodes[count % 2], &nodes[(count + 1) % 2]);
        let written = browser.post(writes, "/count").await;
        assert_eq!(written.header("cache-control"), Some("no-store"));
        let set = written.set_cookie().unwrap();
        assert!(set.starts_with("__Host-id=") && set.ends_with("; HttpOnly; Secure"), "{set}");
        assert_eq!(browser.get(reads, "/read").await.sets_nothing().ok(), count.to_string());
    }
    assert_eq!(browser.get(&nodes[0], "/option").await.ok(), "some");
    assert_eq!(browser.get(&nodes[0], "/plain").await.sets_nothing().ok(), "no session");
}

#[tokio::test]
async fn a_user_signs_in_and_out() {
    let (router, _) = node(KeyRing::generate());
    let browser = Browser::default();
    browser.post(&router, "/count").await.ok();
    let before = browser.copy();
    browser.post(&router, "/login/ada").await.ok();
    assert_eq!(browser.get(&router, "/who").await.ok(), "ada");
    assert_eq!(browser.get(&router, "/read").await.ok(), "1");
    assert_eq!(before.get(&router, "/who").await.ok(), "nobody");
    let logout = browser.post(&router, "/logout").await;
    let clear = "__Host-id=; Path=/; SameSite=Lax; HttpOnly; Max-Age=0; Secure";
    assert_eq!(logout.set_cookie(), Some(clear));
    assert_eq!(browser.get(&router, "/who").await.sets_nothing().ok(), "nobody");
    browser.post(&router, "/logout").await.sets_nothing().ok();
}

#[tokio::test]
async fn a_session_in_use_is_sealed_again_and_an_unused_one_expires() {
    let (router, clock) = node(KeyRing::generate());
    let (used, unused) = (Browser::default(), Browser::default());
    for browser in [&used, &unused] {
        browser.post(&router, "/count").await.ok();
    }
    for _ in 0..10 {
        clock.advance(Duration::from_secs(60));
        used.get(&router, "/read").await.sets_nothing().ok();
        clock.advance(Duration::from_secs(4 * 60));
        let read = used.get(&router, "/read").await;
        assert!(read.set_cookie().is_some(), "{read:?}");
        assert_eq!(read.ok(), "1");
        used.get(&router, "/read").await.sets_nothing().ok();
    }
    assert_eq!(unused.get(&router, "/read").await.sets_nothing().ok(), "0");
}

#[tokio::test]
async fn the_write_that_no_cookie_holds_is_refused_and_the_session_stays() {
    let (router, _) = node(Sealed::new(KeyRing::generate()).compress(false));
    let browser = Browser::default();
    set(&router, &browser, "a", "first").await.ok();
    let too_much = set(&router, &browser, "b", &"x".repeat(4000)).await;
    let too_much = too_much.expect(StatusCode::INSUFFICIENT_STORAGE).sets_nothing();
    assert!(too_much.body.contains("session_full"), "{too_much:?}");
    assert_eq!(browser.get(&router, "/attribute/a").await.ok(), "first");
    assert_eq!(browser.get(&router, "/attribute/b").await.ok(), "");
    // The most that is taken is what a browser keeps: the whole of `Set-Cookie`.
    let fits = |length: usize| {
        let (router, browser) = (router.clone(), Browser::default());
        async move { set(&router, &browser, "a", &"x".repeat(length)).await }
    };
    let (mut least, mut most) = (1000, 4000);
    while least + 1 < most {
        let middle = usize::midpoint(least, most);
        match fits(middle).await.status.is_success() {
            true => least = middle,
            false => most = middle,
        }
    }
    let largest = fits(least).await;
    let bytes = largest.set_cookie().unwrap().len();
    assert!((4096 - 96..=4096).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn what_is_refused_may_be_handled_and_less_be_written() {
    async fn handles(session: Session) -> Result<String, Refusal> {
        let refused = session.set(Slot::new("a"), &"x".repeat(4000)).unwrap_err();
        session.set(Slot::new("a"), &"less".to_owned())?;
        Ok(refused.to_string())
    }
    let clock = ManualClock::default();
    let layer =
        SessionLayer::new(sessions(Sealed::new(KeyRing::generate()).compress(false), &clock));
    let router = Router::new().route("/", post(handles)).merge(routes()).layer(layer);
    let browser = Browser::default();
    let said = browser.post(&router, "/").await.ok();
    assert!(said.contains("bytes more than 40"), "{said}");
    assert_eq!(browser.get(&router, "/attribute/a").await.ok(), "less");
}

#[tokio::test]
async fn keys_are_changed_without_signing_anybody_out() {
    let (old, new) = (KeyRing::new_line("old").unwrap(), KeyRing::new_line("new").unwrap());
    let ring = |text: &str| KeyRing::parse(text).unwrap();
    let (first, second) = (ring(&old), ring(&old));
    let clock = ManualClock::default();
    let nodes = [&first, &second].map(|ring| Node::of(sessions(ring.clone(), &clock)).router);
    let (used, unused) = (Browser::default(), Browser::default());
    for browser in [&used, &unused] {
        browser.post(&nodes[0], "/login/ada").await.ok();
    }
    // Every node has the new key before one of them seals with it.
    let both = format!("{} 2025-11-20T01:00:00Z\n{}", new.trim(), &*old);
    for ring_of_node in [&first, &second] {
        ring_of_node.replace(&ring(&both));
    }
    assert_eq!(first.sealing(clock.now()).as_deref(), Some("old"));
    clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(first.sealing(clock.now()).as_deref(), Some("new"));
    let read = used.get(&nodes[1], "/who").await;
    assert!(read.set_cookie().is_some(), "{read:?}");
    for ring_of_node in [&first, &second] {
        ring_of_node.replace(&ring(&new));
    }
    assert_eq!(used.get(&nodes[0], "/who").await.ok(), "ada");
    assert_eq!(unused.get(&nodes[0], "/who").await.sets_nothing().ok(), "nobody");
}

#[tokio::test]
async fn all_sessions_of_a_user_end_by_an_epoch_and_at_once() {
    let (ring, clock) = (KeyRing::generate(), ManualClock::default());
    let store = Failing::new(Arc::new(MemoryStore::new()));
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let nodes = [0, 1].map(|_| {
        let sealed = Sealed::new(ring.clone()).epochs(Arc::clone(&shared));
        Node::of(sessions(sealed, &clock))
    });
    let (ada, stolen, bob) = (Browser::default(), Browser::default(), Browser::default());
    ada.post(&nodes[0].router, "/login/ada").await.ok();
    stolen.post(&nodes[0].router, "/login/ada").await.ok();
    bob.post(&nodes[0].router, "/login/bob").await.ok();

    store.fail(1, Fail::Before);
    is_unavailable(ada.get(&nodes[0].router, "/who").await);
    assert_eq!(ada.get(&nodes[0].router, "/who").await.ok(), "ada");

    nodes[1].sessions.end_all("ada", None).await.unwrap();
    for browser in [&ada, &stolen] {
        assert_eq!(browser.get(&nodes[0].router, "/who").await.sets_nothing().ok(), "nobody");
    }
    assert_eq!(bob.get(&nodes[0].router, "/who").await.ok(), "bob");
    ada.post(&nodes[0].router, "/login/ada").await.ok();
    assert_eq!(ada.get(&nodes[1].router, "/who").await.ok(), "ada");
    assert_eq!(stolen.get(&nodes[1].router, "/who").await.ok(), "nobody");
}

#[tokio::test]
async fn whatever_is_no_seal_is_nobodys() {
    let (router, _) = node(KeyRing::generate());
    let browser = Browser::default();
    browser.post(&router, "/login/ada").await.ok();
    let cookie = browser.cookie().unwrap();
    let text = cookie.split_once('=').unwrap().1;
    let (other, _) = node(KeyRing::generate());
    let foreign = Browser::default();
    foreign.post(&other, "/login/eve").await.ok();
    let foreign = foreign.cookie().unwrap();
    for value in [
        String::new(),
        "x".repeat(48),
        "x".repeat(60_000),
        text[..text.len() - 1].to_owned(),
        format!("{text}A"),
        format!("B{}", &text[1..]),
        foreign.split_once('=').unwrap().1.to_owned(),
    ] {
        let request = |value: &str| {
            let cookie = HeaderValue::from_str(value).unwrap();
            Request::get("/who").header(COOKIE, cookie).body(axum::body::Body::empty()).unwrap()
        };
        let answer = send(&router, request(&format!("__Host-id={value}"))).await;
        assert_eq!(answer.sets_nothing().ok(), "nobody");
        // Beside what is none, the session opens.
        let answer = send(&router, request(&format!("__Host-id={value}; {cookie}"))).await;
        assert_eq!(answer.sets_nothing().ok(), "ada");
    }
}

#[tokio::test]
async fn a_seal_travels_in_a_header_too_and_opens_only_where_it_was_made_for() {
    let clock = ManualClock::default();
    let transport = Transport::cookie_or_bearer(CookieConfig::default()).unwrap();
    let layer = SessionLayer::new(sessions(KeyRing::generate(), &clock)).transport(transport);
    let router = routes().layer(layer);
    let bearer = |method: Method, path: &str, text: &str| {
        let request = Request::builder().method(method).uri(path);
        let request = request.header(AUTHORIZATION, format!("Bearer {text}"));
        send(&router, request.body(axum::body::Body::empty()).unwrap())
    };
    let login = bearer(Method::POST, "/login/ada", "").await;
    let text = login.header("x-session-token").unwrap().to_owned();
    assert_eq!(login.sets_nothing().status, StatusCode::OK);
    assert_eq!(bearer(Method::GET, "/who", &text).await.ok(), "ada");
    let logout = bearer(Method::POST, "/logout", &text).await;
    assert_eq!(logout.header("x-session-token"), Some(""));

    let browser = Browser::default();
    browser.post(&router, "/login/ada").await.ok();
    let cookie = browser.cookie().unwrap();
    let of_cookie = cookie.split_once('=').unwrap().1;
    assert_eq!(bearer(Method::GET, "/who", of_cookie).await.ok(), "nobody");
    let as_cookie = Browser::with(Some(format!("__Host-id={text}")));
    assert_eq!(as_cookie.get(&router, "/who").await.ok(), "nobody");
}

#[tokio::test]
async fn a_persistent_cookie_lives_as_long_as_its_session() {
    let clock = ManualClock::default();
    let transport = Transport::cookie(CookieConfig::default().persistent(true)).unwrap();
    let layer = SessionLayer::new(sessions(KeyRing::generate(), &clock)).transport(transport);
    let (router, browser) = (routes().layer(layer), Browser::default());
    let set = browser.post(&router, "/count").await;
    assert!(set.set_cookie().unwrap().contains("; Max-Age=43200;"), "{set:?}");
    clock.advance(Duration::from_secs(600));
    let set = browser.get(&router, "/read").await;
    assert!(set.set_cookie().unwrap().contains("; Max-Age=42600;"), "{set:?}");
}
