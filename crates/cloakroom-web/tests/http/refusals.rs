//! What a refused client is told.

use axum::Router;
use axum::routing::get;
use cloakroom_core::{Error, MemoryStore};
use cloakroom_testkit::stores::{Fail, Failing};
use cloakroom_web::{Refusal, Session};
use http::{Method, StatusCode};
use std::sync::Arc;

use crate::app::World;
use crate::browser::{Answer, Browser, send};

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

async fn ask(router: &Router, browser: &Browser, path: &str, accept: &str) -> Answer {
    let mut request = browser.request(Method::POST, path, "");
    request.headers_mut().insert("accept", accept.parse().unwrap());
    send(router, request).await
}

#[track_caller]
fn is_page(answer: Answer, title: &str) {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(answer.body.contains(&format!("<h1>{title}</h1>")), "{answer:?}");
    assert!(answer.body.contains("color-scheme"), "{answer:?}");
    assert!(!answer.body.contains('{') || answer.body.contains("body {"), "{answer:?}");
    if let Some(length) = answer.header("content-length") {
        assert_eq!(length, answer.body.len().to_string());
    }
}

#[tokio::test]
async fn a_refusal_is_json_or_a_page_as_the_client_likes() {
    let store = Failing::new(Arc::new(MemoryStore::new()));
    let world = World::over(store.clone());
    let router = &world.node().router;
    let browser = Browser::default();
    browser.post(router, "/login/ada").await.ok();

    // By an extractor, before the handler.
    store.fail(1, Fail::Before);
    let json = ask(router, &browser, "/count", "*/*").await;
    assert_eq!(
        json.expect(StatusCode::SERVICE_UNAVAILABLE).body,
        r#"{"error":"store_unavailable","message":"The session store does not answer. Send the request again shortly."}"#
    );
    store.fail(1, Fail::Before);
    is_page(ask(router, &browser, "/count", HTML).await, "Service Unavailable");
    // By the commit, after the handler.
    store.fail(2, Fail::Before);
    is_page(ask(router, &browser, "/fail", HTML).await, "Service Unavailable");
    // By the handler itself.
    let before = browser.copy();
    browser.post(router, "/login/ada").await.ok();
    let settling = ask(router, &before, "/count", HTML).await.expect(StatusCode::CONFLICT);
    assert_eq!(settling.header("retry-after"), Some("1"));
    is_page(settling, "Conflict");
}

#[tokio::test]
async fn a_service_without_the_layer_says_so() {
    async fn handler(_: Session) {}
    let router = Router::new().route("/", get(handler));
    let answer = Browser::default().get(&router, "/").await;
    let answer = answer.expect(StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.body.contains("session_fault"), "{answer:?}");
}

#[test]
fn a_refusal_keeps_its_cause_for_the_service() {
    let refusal = Refusal::from(Error::Ended);
    assert_eq!((refusal.status(), refusal.code()), (StatusCode::UNAUTHORIZED, "session_ended"));
    assert!(matches!(refusal.error(), Some(Error::Ended)));
    assert!(std::error::Error::source(&refusal).is_some());
    assert!(Refusal::not_signed_in().error().is_none());
}
