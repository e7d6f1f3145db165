//! What a refused client is told.

use axum::Router;
use axum::body::Body;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use cloakroom_core::{Error, MemoryStore};
use cloakroom_testkit::stores::{Fail, Failing};
use cloakroom_web::{Refusal, Session, SessionLayer, SignedIn};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderValue, Method, StatusCode};
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

/// A handler that refuses, with a layer inside of the session's that changes what it answers.
async fn refused_through(inside: fn(Response) -> Response) -> Answer {
    let sessions = World::memory().node().sessions.clone();
    let router = Router::new()
        .route("/", get(async |_: SignedIn| {}))
        .layer(map_response(move |response| async move { inside(response) }))
        .layer(SessionLayer::new(sessions));
    let mut request = Browser::default().request(Method::GET, "/", "");
    request.headers_mut().insert("accept", HTML.parse().unwrap());
    send(&router, request).await.expect(StatusCode::UNAUTHORIZED)
}

const GZIP: HeaderValue = HeaderValue::from_static("gzip");
const TAG: HeaderValue = HeaderValue::from_static("\"abc\"");

fn remade(response: Response, kind: &'static str, body: &'static str) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Response::from_parts(parts, Body::from(body))
}

#[tokio::test]
async fn what_was_made_of_a_refusal_inside_stays() {
    let compressed = refused_through(|mut response| {
        response.headers_mut().insert(CONTENT_ENCODING, GZIP);
        response.headers_mut().insert(ETAG, TAG);
        response
    })
    .await;
    assert_eq!(compressed.header("content-type"), Some("application/json"));
    assert_eq!(compressed.header("etag"), Some("\"abc\""));
    assert!(compressed.body.contains("not_signed_in"), "{compressed:?}");

    let page = refused_through(|response| remade(response, "text/html", "<p>ours")).await;
    assert_eq!((page.header("content-type"), &*page.body), (Some("text/html"), "<p>ours"));
    let json = refused_through(|response| remade(response, "application/json", "[]")).await;
    assert_eq!((json.header("content-type"), &*json.body), (Some("application/json"), "[]"));
}

#[tokio::test]
async fn a_page_has_no_tag_of_what_it_replaces() {
    let page = refused_through(|mut response| {
        response.headers_mut().insert(ETAG, TAG);
        response
    })
    .await;
    assert_eq!(page.header("etag"), None);
    is_page(page, "Unauthorized");
}

#[tokio::test]
async fn a_layer_outside_knows_the_refusal() {
    async fn outside(response: Response) -> Response {
        let code = response.extensions().get().map(Refusal::code);
        remade(response, "text/plain", code.unwrap_or("none"))
    }
    let world = World::memory();
    let router = Router::new()
        .route("/refused", get(async |_: SignedIn| {}))
        .route("/fine", get(async || "fine"))
        .layer(SessionLayer::new(world.node().sessions.clone()))
        .layer(map_response(outside));
    for accept in [HTML, "application/json"] {
        let mut request = Browser::default().request(Method::GET, "/refused", "");
        request.headers_mut().insert("accept", accept.parse().unwrap());
        assert_eq!(send(&router, request).await.body, "not_signed_in");
    }
    assert_eq!(Browser::default().get(&router, "/fine").await.ok(), "none");
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
