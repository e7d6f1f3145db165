//! Sessions that hold too much, or what their reader does not expect.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use cloakroom_core::commit::Room;
use cloakroom_core::{MemoryStore, Policy, Slot, Store};
use cloakroom_web::{Refusal, Session, SessionLayer};
use http::{Method, StatusCode};

use crate::app::{COUNT, World};
use crate::browser::{Answer, Browser};

async fn set(world: &World, browser: &Browser, name: &str, value: &str) -> Answer {
    let path = format!("/attribute/{name}");
    browser.send(&world.node().router, Method::POST, &path, value).await
}

async fn small() -> (World, Browser) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let room = Room { fields: 3, bytes: 100 };
    let world = World::new(&store, 1, &Policy { room, attribute_bytes: 60, ..Policy::default() });
    let browser = Browser::default();
    set(&world, &browser, "a", "first").await.ok();
    (world, browser)
}

#[track_caller]
fn is_full(answer: Answer) {
    let answer = answer.expect(StatusCode::INSUFFICIENT_STORAGE).sets_nothing();
    assert!(answer.body.contains("session_full"), "{answer:?}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_the_rest_stays() {
    let (world, browser) = small().await;
    is_full(set(&world, &browser, "b", &"x".repeat(59)).await);
    set(&world, &browser, "b", &"x".repeat(50)).await.ok();
    is_full(set(&world, &browser, "c", &"x".repeat(50)).await);
    set(&world, &browser, "c", "").await.ok();
    is_full(set(&world, &browser, "d", "").await);
    set(&world, &browser, "c", "x").await.ok();
    let router = &world.node().router;
    assert_eq!(browser.get(router, "/attribute/a").await.ok(), "first");
    assert_eq!(browser.get(router, "/attribute/d").await.ok(), "");
}

#[tokio::test]
async fn a_name_that_no_attribute_can_have_is_the_services_fault() {
    let (world, browser) = small().await;
    for name in ["@roles".to_owned(), "n".repeat(129)] {
        let answer = set(&world, &browser, &name, "x").await;
        let answer = answer.expect(StatusCode::INTERNAL_SERVER_ERROR).sets_nothing();
        assert!(answer.body.contains("session_fault"), "{answer:?}");
        assert!(!answer.body.contains(&name), "the message tells clients nothing more");
    }
}

#[tokio::test]
async fn a_value_of_another_type_reads_as_absent_unless_it_must_be_there() {
    async fn lenient(session: Session) -> Result<String, Refusal> {
        Ok(format!("{:?}", session.get(COUNT)?))
    }
    async fn strict(session: Session) -> Result<String, Refusal> {
        Ok(format!("{:?}", session.try_get(COUNT)?))
    }
    async fn updates(session: Session) -> Result<(), Refusal> {
        Ok(session.update(COUNT, |count| *count += 1)?)
    }
    let (world, browser) = small().await;
    set(&world, &browser, COUNT.name(), "hunter2").await.ok();
    let layer = SessionLayer::new(world.node().sessions.clone());
    let router = Router::new().route("/lenient", get(lenient)).route("/strict", get(strict));
    let router = router.route("/updates", get(updates)).layer(layer);
    assert_eq!(browser.get(&router, "/lenient").await.ok(), "None");
    for path in ["/strict", "/updates"] {
        let answer = browser.get(&router, path).await;
        let answer = answer.expect(StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!answer.body.contains("hunter2"), "{answer:?}");
    }
    assert_eq!(browser.get(&world.node().router, "/attribute/count").await.ok(), "hunter2");
}

#[tokio::test]
async fn a_value_without_a_json_form_is_the_services_fault() {
    async fn odd(session: Session) -> Result<(), Refusal> {
        let unordered = std::collections::HashMap::from([(vec![1_u8], 1_u8)]);
        Ok(session.set(Slot::new("odd"), &unordered)?)
    }
    let (world, browser) = small().await;
    let layer = SessionLayer::new(world.node().sessions.clone());
    let router = Router::new().route("/", get(odd)).layer(layer);
    browser.get(&router, "/").await.expect(StatusCode::INTERNAL_SERVER_ERROR).sets_nothing();
}
