//! Whatever a client may present instead of its token.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use cloakroom_core::{Key, Kind, MemoryStore, Policy, Store, Token, token::Secret};
use cloakroom_testkit::stores::{Call, Counting};
use http::header::COOKIE;
use http::{HeaderValue, Method, Request, StatusCode};

use crate::app::World;
use crate::browser::{Answer, Browser, send};

const NAME: &str = "__Host-id";

/// A node, its store and a signed-in browser's cookie; nothing is counted yet.
async fn counted() -> (World, Counting, String) {
    let store = Counting::new(Arc::new(MemoryStore::new()));
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let world = World::new(&shared, 1, &Policy::default());
    let browser = Browser::default();
    browser.post(&world.node().router, "/login/ada").await.ok();
    store.take();
    (world, store, browser.cookie().unwrap())
}

/// Asks who is signed in, with these `Cookie` headers.
async fn who(world: &World, cookies: &[&[u8]]) -> Answer {
    let mut request = Request::get("/who").body(Body::empty()).unwrap();
    for cookie in cookies {
        request.headers_mut().append(COOKIE, HeaderValue::from_bytes(cookie).unwrap());
    }
    send(&world.node().router, request).await.sets_nothing()
}

fn guessed() -> String {
    let token = Token::new(Key::random(Kind::Session), Secret::random());
    format!("{NAME}={}", token.reveal())
}

#[tokio::test]
async fn no_store_is_asked_about_what_never_was_a_token() {
    let (world, store, cookie) = counted().await;
    let token = cookie.split_once('=').unwrap().1;
    for value in [
        String::new(),
        token[1..].to_owned(),
        format!("{token}A"),
        token.replace(&token[..1], "+"),
        format!("{token} {token}"),
        format!("%{}", &token[1..]),
        "x".repeat(4096),
        "'; DROP TABLE sessions".to_owned(),
    ] {
        let cookie = format!("{NAME}={value}");
        assert_eq!(who(&world, &[cookie.as_bytes()]).await.ok(), "nobody", "{value}");
    }
    for bytes in [&b"__Host-id=\xff\xfe\x80"[..], b"\xff=\xff; =", b"", b";;;=;", b"__Host-id"] {
        assert_eq!(who(&world, &[bytes]).await.ok(), "nobody");
    }
    assert_eq!(store.total(), 0);
}

#[tokio::test]
async fn a_cookie_by_another_name_is_another_cookie() {
    let (world, store, cookie) = counted().await;
    let token = cookie.split_once('=').unwrap().1;
    for name in ["id", "__host-id", "__HOST-ID", "__Host-id2", "x__Host-id", "__Secure-id"] {
        let cookie = format!("{name}={token}");
        assert_eq!(who(&world, &[cookie.as_bytes()]).await.ok(), "nobody", "{name}");
    }
    assert_eq!(store.total(), 0);
}

#[tokio::test]
async fn the_token_is_found_among_other_cookies_and_in_several_headers() {
    let (world, _, cookie) = counted().await;
    let quoted = cookie.replace('=', "=\"") + "\"";
    let amid = format!("a=b;{cookie} ; c=\u{e9}");
    for cookies in [
        &[cookie.as_bytes()][..],
        &[quoted.as_bytes()],
        &[amid.as_bytes()],
        &[b"a=b", cookie.as_bytes(), b"c=d"],
        &[b"__Host-id=garbage", b"\xff", cookie.as_bytes()],
    ] {
        assert_eq!(who(&world, cookies).await.ok(), "ada");
    }
}

#[tokio::test]
async fn an_unknown_token_is_never_adopted_and_shadows_nothing() {
    let (world, store, cookie) = counted().await;
    let stranger = Browser::with(Some(guessed()));
    let planted = stranger.cookie();
    stranger.post(&world.node().router, "/count").await.ok();
    assert_ne!(stranger.cookie(), planted);
    store.take();
    let both = format!("{}; {cookie}", guessed());
    assert_eq!(who(&world, &[both.as_bytes()]).await.ok(), "ada");
    assert_eq!(store.count(Call::Load), 2);
}

#[tokio::test]
async fn more_tokens_than_are_looked_up_are_refused_and_hide_no_session() {
    let (world, store, cookie) = counted().await;
    let most = Policy::default().tokens_tried;
    for tokens in [most + 1, 8] {
        let mut tokens: Vec<String> = (1..tokens).map(|_| guessed()).collect();
        tokens.push(cookie.clone());
        let refused = who(&world, &[tokens.join("; ").as_bytes()]).await;
        let refused = refused.expect(StatusCode::BAD_REQUEST);
        assert!(refused.body.contains("too_many_tokens"), "{refused:?}");
        assert!(refused.body.contains("Delete this site's cookies"), "{refused:?}");
        assert_eq!(store.total(), 0);
    }
    let mut few: Vec<String> = (1..most).map(|_| guessed()).collect();
    few.push(cookie.clone());
    assert_eq!(who(&world, &[few.join("; ").as_bytes()]).await.ok(), "ada");
    assert_eq!(store.take()[&Call::Load], most);
    let same = vec![cookie; 8].join("; ");
    assert_eq!(who(&world, &[same.as_bytes()]).await.ok(), "ada");
    assert_eq!(store.take()[&Call::Load], 1);
}

#[tokio::test]
async fn two_sessions_in_one_request_are_both_refused() {
    let (world, _, cookie) = counted().await;
    let mallory = Browser::default();
    mallory.post(&world.node().router, "/login/mallory").await.ok();
    let both = format!("{}; {cookie}", mallory.cookie().unwrap());
    let refused = who(&world, &[both.as_bytes()]).await.expect(StatusCode::BAD_REQUEST);
    assert!(refused.body.contains("two_sessions"), "{refused:?}");
    assert!(refused.body.contains("Delete this site's cookies"), "{refused:?}");
    assert_eq!(who(&world, &[cookie.as_bytes()]).await.ok(), "ada");
}

#[tokio::test]
async fn the_token_is_marked_so_that_debug_output_hides_it() {
    let (world, _, _) = counted().await;
    let login = Browser::default().post(&world.node().router, "/login/ada").await;
    let token = login.set_cookie().unwrap().split(['=', ';']).nth(1).unwrap();
    assert_eq!(token.len(), Token::TEXT_LEN);
    assert!(!format!("{:?}", login.headers).contains(token));
}

#[tokio::test]
async fn only_a_page_or_a_script_is_given_a_rotated_token() {
    let policy = Policy { rotate_every: Some(Duration::from_secs(60)), ..Policy::default() };
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let world = World::new(&store, 1, &policy);
    let router = &world.node().router;
    let browser = Browser::default();
    browser.post(router, "/count").await.ok();
    world.clock.advance(Duration::from_secs(61));
    for (name, value) in
        [("sec-fetch-dest", "image"), ("sec-fetch-dest", "script"), ("upgrade", "websocket")]
    {
        let mut request = browser.request(Method::GET, "/read", "");
        request.headers_mut().insert(name, HeaderValue::from_static(value));
        assert_eq!(send(router, request).await.sets_nothing().ok(), "1");
    }
    let mut request = browser.request(Method::GET, "/read", "");
    request.headers_mut().insert("sec-fetch-dest", HeaderValue::from_static("document"));
    let rotated = send(router, request).await;
    assert!(rotated.set_cookie().is_some(), "{rotated:?}");
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
}
