//! What a request costs: counted calls to the store, never time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use cloakroom_core::{MemoryStore, Policy, Store};
use cloakroom_testkit::stores::{Call, Counting};
use cloakroom_web::{Head, Session, SessionLayer, SignedIn};
use http::Method;

use crate::app::{COUNT, World};
use crate::browser::Browser;

/// A node, its store and a browser that has a session; nothing is counted yet.
async fn counted(policy: &Policy) -> (World, Counting, Browser) {
    let store = Counting::new(Arc::new(MemoryStore::new()));
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let world = World::new(&shared, 1, policy);
    let browser = Browser::default();
    browser.post(&world.node().router, "/count").await.ok();
    store.take();
    (world, store, browser)
}

fn calls<const N: usize>(calls: [(Call, usize); N]) -> BTreeMap<Call, usize> {
    calls.into()
}

#[tokio::test]
async fn a_request_that_asks_for_no_session_costs_nothing() {
    let (world, store, browser) = counted(&Policy::default()).await;
    for browser in [browser, Browser::default()] {
        let answer = browser.get(&world.node().router, "/plain").await.sets_nothing();
        assert_eq!(answer.header("cache-control"), None);
        assert_eq!(answer.ok(), "no session");
    }
    assert_eq!(store.total(), 0);
}

#[tokio::test]
async fn a_visitor_without_a_token_costs_nothing_until_something_is_written() {
    let (world, store, _) = counted(&Policy::default()).await;
    let visitor = Browser::default();
    for path in ["/read", "/option", "/who"] {
        visitor.get(&world.node().router, path).await.sets_nothing().ok();
    }
    assert_eq!(store.total(), 0);
    let written = visitor.post(&world.node().router, "/count").await;
    assert_eq!(written.header("cache-control"), Some("no-store"));
    assert!(written.set_cookie().is_some());
    assert_eq!(store.take(), calls([(Call::Create, 1)]));
}

#[tokio::test]
async fn a_read_is_one_load() {
    let (world, store, browser) = counted(&Policy::default()).await;
    let read = browser.get(&world.node().router, "/read").await.sets_nothing();
    assert_eq!(read.header("cache-control"), None);
    assert_eq!(read.ok(), "1");
    assert_eq!(store.take(), calls([(Call::Load, 1)]));
}

#[tokio::test]
async fn a_write_is_one_load_and_one_commit_and_no_cookie() {
    let (world, store, browser) = counted(&Policy::default()).await;
    browser.post(&world.node().router, "/count").await.sets_nothing().ok();
    assert_eq!(store.take(), calls([(Call::Load, 1), (Call::Commit, 1)]));
}

#[tokio::test]
async fn a_use_is_written_down_once_in_a_while() {
    let policy = Policy { touch_after: Some(Duration::from_secs(60)), ..Policy::default() };
    let (world, store, browser) = counted(&policy).await;
    for (seconds, commits) in [(59, 0), (1, 1), (30, 0), (29, 0), (1, 1)] {
        world.clock.advance(Duration::from_secs(seconds));
        browser.get(&world.node().router, "/read").await.sets_nothing().ok();
        assert_eq!(store.count(Call::Commit), commits, "after {seconds} s more");
        store.take();
    }
}

#[tokio::test]
async fn a_passive_request_is_no_use() {
    let (world, store, browser) = counted(&Policy::default()).await;
    let layer = SessionLayer::new(world.node().sessions.clone());
    let layer = layer.passive_when(|head| head.uri.path() == "/read");
    let router = crate::app::routes().layer(layer);
    for _ in 0..2 {
        world.clock.advance(Duration::from_secs(14 * 60));
        browser.get(&router, "/read").await.ok();
    }
    assert_eq!(store.count(Call::Commit), 0);
    world.clock.advance(Duration::from_secs(2 * 60));
    assert_eq!(browser.get(&router, "/option").await.ok(), "none", "it went idle");
}

#[tokio::test]
async fn all_extractors_of_a_request_share_one_session() {
    let (world, store, browser) = counted(&Policy::default()).await;
    async fn many(
        first: Session,
        who: Option<SignedIn>,
        second: Option<Session>,
        third: Session,
    ) -> String {
        assert_eq!(who, None);
        first.update(COUNT, |count| *count += 1).unwrap();
        third.update(COUNT, |count| *count += 1).unwrap();
        second.unwrap().get(COUNT).unwrap().unwrap_or_default().to_string()
    }
    let layer = SessionLayer::new(world.node().sessions.clone());
    let router = Router::new().route("/", get(many)).layer(layer);
    assert_eq!(browser.get(&router, "/").await.ok(), "3");
    assert_eq!(store.take(), calls([(Call::Load, 1), (Call::Commit, 1)]));
}

#[tokio::test]
async fn extractors_that_ask_at_the_same_time_share_one_load() {
    let (world, store, browser) = counted(&Policy::default()).await;
    let handler = async |request: axum::extract::Request| {
        let head = Head::from(&request);
        let ask = || cloakroom_web::session(head);
        let all = tokio::join!(ask(), ask(), ask(), ask());
        for session in [all.0, all.1, all.2, all.3] {
            session.unwrap().update(COUNT, |count| *count += 1).unwrap();
        }
    };
    let layer = SessionLayer::new(world.node().sessions.clone());
    let router = Router::new().route("/", get(handler)).layer(layer);
    browser.send(&router, Method::GET, "/", "").await.ok();
    assert_eq!(store.take(), calls([(Call::Load, 1), (Call::Commit, 1)]));
    assert_eq!(browser.get(&world.node().router, "/read").await.ok(), "5");
}

#[tokio::test]
async fn an_option_is_there_only_where_a_session_is_stored() {
    let (world, _, browser) = counted(&Policy::default()).await;
    let router = &world.node().router;
    assert_eq!(browser.get(router, "/option").await.ok(), "some");
    assert_eq!(Browser::default().get(router, "/option").await.sets_nothing().ok(), "none");
    world.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(browser.get(router, "/option").await.sets_nothing().ok(), "none");
}
