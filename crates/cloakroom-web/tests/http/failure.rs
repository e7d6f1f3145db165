//! Stores that do not answer, services that fail, requests that are given up.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use cloakroom_core::{Error, MemoryStore, Policy, Store};
use cloakroom_testkit::stores::{Call, Fail, Failing, Hanging, Wrapped};
use cloakroom_web::{Refusal, Session, SessionLayer};
use http::{Method, StatusCode};
use tower::ServiceExt;

use crate::app::{COUNT, World};
use crate::browser::{Answer, Browser};

fn world(store: impl Store) -> World {
    let store: Arc<dyn Store> = Arc::new(store);
    World::new(&store, 1, &Policy::default())
}

/// A node over a store that fails on demand, and a browser whose count is 1.
async fn failing() -> (World, Failing, Browser) {
    let store = Failing::new(Arc::new(MemoryStore::new()));
    let world = world(store.clone());
    let browser = Browser::default();
    browser.post(&world.node().router, "/count").await.ok();
    (world, store, browser)
}

#[track_caller]
pub(crate) fn is_unavailable(answer: Answer) {
    let answer = answer.expect(StatusCode::SERVICE_UNAVAILABLE).sets_nothing();
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-handler"), None);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_store_that_is_away_logs_nobody_out() {
    let (world, store, browser) = failing().await;
    let router = &world.node().router;
    for path in ["/read", "/option", "/who"] {
        store.fail(1, Fail::Before);
        is_unavailable(browser.get(router, path).await);
    }
    assert_eq!(browser.get(router, "/read").await.ok(), "1");
}

#[tokio::test]
async fn a_store_that_dies_between_load_and_commit_leaves_nothing_of_the_response() {
    let (world, store, browser) = failing().await;
    let router = &world.node().router;
    store.fail_call(Call::Commit, 1, Fail::Before);
    is_unavailable(browser.post(router, "/fail").await);
    assert_eq!(browser.get(router, "/read").await.ok(), "1");
    let failed = browser.post(router, "/fail").await;
    let failed = failed.expect(StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(failed.header("x-handler"), Some("was here"));
    assert_eq!(browser.get(router, "/read").await.ok(), "2", "a 5xx commits too");
}

#[tokio::test]
async fn a_store_that_cannot_make_the_session_sets_no_cookie() {
    let (world, store, _) = failing().await;
    let router = &world.node().router;
    for path in ["/count", "/login/ada"] {
        store.fail_call(Call::Create, 1, Fail::Before);
        is_unavailable(Browser::default().post(router, path).await);
    }
    store.fail_call(Call::End, 1, Fail::Before);
    let browser = Browser::default();
    browser.post(router, "/login/ada").await.ok();
    is_unavailable(browser.post(router, "/logout").await);
    assert_eq!(browser.get(router, "/who").await.ok(), "ada");
}

#[tokio::test]
async fn a_lost_answer_is_not_applied_twice() {
    for lost in 1..=3 {
        let (world, store, browser) = failing().await;
        let router = &world.node().router;
        store.fail(lost, Fail::After);
        let answer = browser.post(router, "/count").await;
        let count = match answer.status {
            StatusCode::OK => "2",
            _ => {
                is_unavailable(answer);
                "1"
            }
        };
        store.fail(1_000, Fail::Before);
        assert_eq!(browser.get(router, "/read").await.ok(), count, "call {lost}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up() {
    let store = Hanging::new(Arc::new(MemoryStore::new()));
    let world = world(store.clone());
    let router = &world.node().router;
    let browser = Browser::default();
    browser.post(router, "/count").await.ok();
    store.hang();
    is_unavailable(browser.get(router, "/read").await);
    is_unavailable(Browser::default().post(router, "/count").await);
    store.release();
    assert_eq!(browser.get(router, "/read").await.ok(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_at_the_commit_is_given_up() {
    let store = Hanging::new(Arc::new(MemoryStore::new()));
    let world = world(store.clone());
    let node = world.node().clone();
    let browser = Browser::default();
    browser.post(&node.router, "/count").await.ok();
    let held = {
        let (router, browser) = (node.router.clone(), browser.clone());
        tokio::spawn(async move { browser.post(&router, "/held/count").await })
    };
    node.gate.reached(1).await;
    store.hang();
    node.gate.release(1);
    is_unavailable(held.await.unwrap());
    store.release();
    assert_eq!(browser.get(&node.router, "/read").await.ok(), "1");
}

#[tokio::test]
async fn a_panic_commits_nothing() {
    async fn panics(session: Session) {
        session.update(COUNT, |count| *count += 1).unwrap();
        panic!("this handler was to panic");
    }
    let (world, _, browser) = failing().await;
    let layer = SessionLayer::new(world.node().sessions.clone());
    let router = Router::new().route("/", post(panics)).layer(layer);
    let request = browser.request(Method::POST, "/", "");
    let task = tokio::spawn(async move { router.oneshot(request).await.map(drop) });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(browser.get(&world.node().router, "/read").await.ok(), "1");
}

#[tokio::test]
async fn a_handle_that_outlives_its_request_takes_no_more_edits() {
    let (world, _, browser) = failing().await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Session>(1);
    let handler = async move |session: Session| sender.send(session).await.unwrap();
    let layer = SessionLayer::new(world.node().sessions.clone());
    let router = Router::new().route("/", post(handler)).layer(layer);
    browser.post(&router, "/").await.ok();
    let session = receiver.recv().await.unwrap();
    assert!(matches!(session.set(COUNT, &9), Err(Error::Closed)));
    assert_eq!(session.get(COUNT).unwrap(), Some(1));
}

#[tokio::test]
async fn a_commit_that_the_handler_made_itself_stands() {
    async fn early(session: Session) -> Result<(), Refusal> {
        session.update(COUNT, |count| *count += 1)?;
        session.commit().await.map(drop)?;
        session.update(COUNT, |count| *count += 1)?;
        Ok(())
    }
    let (world, store, browser) = failing().await;
    let layer = SessionLayer::new(world.node().sessions.clone());
    let router = Router::new().route("/", post(early)).layer(layer);
    store.fail_call(Call::Commit, 2, Fail::Before);
    is_unavailable(browser.post(&router, "/").await);
    assert_eq!(browser.get(&world.node().router, "/read").await.ok(), "2");
    browser.post(&router, "/").await.sets_nothing().ok();
    assert_eq!(browser.get(&world.node().router, "/read").await.ok(), "4");
    let fresh = Browser::default();
    fresh.post(&router, "/").await.ok();
    assert_eq!(fresh.get(&world.node().router, "/read").await.ok(), "2");
}

/// A store each of whose calls takes a few polls.
mod slow {
    use async_trait::async_trait;
    use cloakroom_core::store::Result;
    use cloakroom_testkit::stores::{Call, Intercept};

    #[derive(Debug)]
    pub(super) struct Slow;

    #[async_trait]
    impl Intercept for Slow {
        type Around = ();

        async fn before(&self, _: Call) -> Result<()> {
            a_few_polls().await;
            Ok(())
        }

        async fn after(&self, _: Call, (): ()) -> Result<()> {
            a_few_polls().await;
            Ok(())
        }
    }

    async fn a_few_polls() {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_request_dropped_at_any_poll_is_whole_or_nothing() {
    let world = world(Wrapped::around(Arc::new(MemoryStore::new()), slow::Slow));
    let router = &world.node().router;
    let browser = Browser::default();
    browser.post(router, "/count").await.ok();
    let (mut count, mut without_effect, mut with_effect) = (1, 0, 0);
    for polls in 1.. {
        let request = browser.request(Method::POST, "/count", "");
        let mut response = Box::pin(router.clone().oneshot(request));
        let mut context = Context::from_waker(Waker::noop());
        let done = (0..polls).any(|_| response.as_mut().poll(&mut context).is_ready());
        drop(response);
        let now: u64 = browser.get(router, "/read").await.ok().parse().unwrap();
        assert!(now == count || now == count + 1, "{count} became {now} in {polls} polls");
        if done {
            assert_eq!(now, count + 1);
            break;
        }
        without_effect += u32::from(now == count);
        with_effect += u32::from(now > count);
        count = now + 1;
        let next = browser.post(router, "/count").await.sets_nothing().ok();
        assert_eq!(next, count.to_string(), "the session can be used as before");
    }
    assert!(without_effect > 3 && with_effect > 1, "{without_effect} {with_effect}");
}

#[tokio::test]
async fn a_service_that_fails_commits_nothing() {
    let (world, _, browser) = failing().await;
    let fails = tower::service_fn(async |request: http::Request<axum::body::Body>| {
        let session = cloakroom_web::session(&request).await.unwrap();
        session.update(COUNT, |count| *count += 1).unwrap();
        Err::<http::Response<axum::body::Body>, _>("this service was to fail")
    });
    let layer = SessionLayer::new(world.node().sessions.clone());
    let service = tower::Layer::layer(&layer, fails);
    let request = browser.request(Method::POST, "/", "");
    assert_eq!(service.oneshot(request).await.unwrap_err(), "this service was to fail");
    assert_eq!(browser.get(&world.node().router, "/read").await.ok(), "1");
}

#[tokio::test]
async fn a_response_waits_for_its_commit() {
    let store = Hanging::new(Arc::new(MemoryStore::new()));
    let world = world(store.clone());
    store.hang();
    let request = Browser::default().request(Method::POST, "/count", "");
    let response = tokio::spawn(world.node().router.clone().oneshot(request));
    let bound = Duration::from_secs(60);
    tokio::time::timeout(bound, store.waiting(1)).await.unwrap();
    assert!(!response.is_finished());
    store.release();
    let response = tokio::time::timeout(bound, response).await.unwrap();
    assert!(response.unwrap().unwrap().headers().contains_key("set-cookie"));
}
