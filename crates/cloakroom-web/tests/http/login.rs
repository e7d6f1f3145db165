//! Logging in and out, one browser and one node at a time.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::policy::{Seats, WhenFull};
use cloakroom_core::{MemoryStore, Policy, Store};
use http::{Method, StatusCode};

use crate::app::World;
use crate::browser::{Browser, send};

#[tokio::test]
async fn a_login_replaces_the_token_and_keeps_the_attributes() {
    let world = World::memory();
    let router = &world.node().router;
    let browser = Browser::default();
    browser.post(router, "/count").await.ok();
    let planted = browser.copy();
    let login = browser.post(router, "/login/ada").await;
    assert_eq!(login.header("cache-control"), Some("no-store"));
    login.ok();
    assert_ne!(browser.cookie(), planted.cookie());
    assert_eq!(browser.get(router, "/read").await.ok(), "1");

    assert_eq!(planted.get(router, "/read").await.sets_nothing().ok(), "0");
    let write = planted.post(router, "/count").await;
    write.expect(StatusCode::CONFLICT).sets_nothing();
    world.clock.advance(Duration::from_secs(61));
    let write = planted.post(router, "/count").await;
    assert!(write.set_cookie().is_some(), "after the settling time it is a stranger's");
    assert_eq!(browser.get(router, "/read").await.ok(), "1");
}

#[tokio::test]
async fn a_logout_clears_the_cookie_and_only_the_logout_does() {
    let world = World::memory();
    let router = &world.node().router;
    let browser = Browser::default();
    browser.post(router, "/login/ada").await.ok();
    let other_tab = browser.copy();
    let logout = browser.post(router, "/logout").await;
    assert_eq!(logout.header("cache-control"), Some("no-store"));
    assert_eq!(
        logout.set_cookie(),
        Some("__Host-id=; Path=/; SameSite=Lax; HttpOnly; Max-Age=0; Secure")
    );
    assert_eq!(other_tab.get(router, "/who").await.sets_nothing().ok(), "nobody");
    other_tab.post(router, "/logout").await.sets_nothing().ok();
    Browser::default().post(router, "/logout").await.sets_nothing().ok();
}

#[tokio::test]
async fn a_login_whose_response_was_lost_is_simply_repeated() {
    let world = World::memory();
    let router = &world.node().router;
    let browser = Browser::default();
    browser.post(router, "/count").await.ok();
    let lost = browser.request(Method::POST, "/login/ada", "");
    send(router, lost).await.ok();
    browser.post(router, "/login/ada").await.ok();
    assert_eq!(browser.get(router, "/who").await.ok(), "ada");
    browser.post(router, "/count").await.ok();
}

#[tokio::test]
async fn another_user_finds_nothing_of_the_one_before() {
    let world = World::memory();
    let router = &world.node().router;
    let browser = Browser::default();
    browser.post(router, "/login/ada").await.ok();
    browser.post(router, "/count").await.ok();
    let ada = browser.copy();
    browser.post(router, "/login/bob").await.ok();
    assert_eq!(browser.get(router, "/read").await.ok(), "0");
    assert_eq!(ada.get(router, "/who").await.ok(), "nobody");
}

#[tokio::test]
async fn a_login_keeps_its_device_and_address() {
    let world = World::memory();
    let mut request = Browser::default().request(Method::POST, "/login/ada", "");
    request.headers_mut().insert("user-agent", "A browser".parse().unwrap());
    let address = "192.0.2.7:4000".parse::<std::net::SocketAddr>().unwrap();
    request.extensions_mut().insert(axum::extract::ConnectInfo(address));
    send(&world.node().router, request).await.ok();
    let of_ada = world.node().sessions.of_principal("ada").await.unwrap();
    assert_eq!(of_ada[0].device().as_deref(), Some("A browser"));
    assert_eq!(of_ada[0].address().as_deref(), Some("192.0.2.7"));
}

#[tokio::test]
async fn a_login_without_a_seat_is_refused_and_keeps_the_anonymous_session() {
    let seats = Some(Seats { most: 1, when_full: WhenFull::Refuse });
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let world = World::new(&store, 1, &Policy { seats, ..Policy::default() });
    let router = &world.node().router;
    let (first, second) = (Browser::default(), Browser::default());
    first.post(router, "/login/ada").await.ok();
    second.post(router, "/count").await.ok();
    let refused = second.post(router, "/login/ada").await;
    let refused = refused.expect(StatusCode::CONFLICT).sets_nothing();
    assert!(refused.body.contains("too_many_sessions"), "{refused:?}");
    assert_eq!(second.get(router, "/read").await.ok(), "1");
    assert_eq!(second.get(router, "/who").await.ok(), "nobody");
}
