//! The layer around tower services that have never heard of axum, and their bodies.

use std::convert::Infallible;

use bytes::Bytes;
use cloakroom_core::Slot;
use cloakroom_web::{Refusal, RequireLogin, SessionLayer, session};
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::trace::TraceLayer;

use crate::app::World;

const VISITS: Slot<u64> = Slot::new("visits");

/// A body that no bytes can be turned into.
type Boxed = BoxBody<Bytes, Infallible>;

async fn visits<B>(request: Request<B>) -> Result<Response<Boxed>, Refusal> {
    let session = session(&request).await?;
    session.update(VISITS, |visits| *visits += 1)?;
    let visits = session.get(VISITS)?.unwrap_or_default();
    Ok(Response::new(Full::from(visits.to_string()).boxed()))
}

/// The service's own way from refusals to responses.
async fn answered<B>(request: Request<B>) -> Result<Response<Boxed>, Infallible> {
    let refused = |refusal: Refusal| refusal.response::<Full<Bytes>>().map(Full::boxed);
    Ok(visits(request).await.unwrap_or_else(refused))
}

async fn text<B>(response: Response<B>) -> String
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

fn navigation() -> Request<Empty<Bytes>> {
    Request::builder().header(ACCEPT, "text/html").body(Empty::new()).unwrap()
}

#[tokio::test]
async fn any_tower_service_has_sessions() {
    let world = World::memory();
    let layer = SessionLayer::new(world.node().sessions.clone());
    let mut service = layer.layer(service_fn(answered::<()>));
    let first = service.ready().await.unwrap().call(Request::new(())).await.unwrap();
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let again = Request::builder().header(COOKIE, cookie).body(()).unwrap();
    let second = service.ready().await.unwrap().call(again).await.unwrap();
    assert_eq!((text(first).await, text(second).await), ("1".into(), "2".into()));
}

#[tokio::test]
async fn any_tower_service_can_require_a_login() {
    let world = World::memory();
    let layer = SessionLayer::new(world.node().sessions.clone());
    let service = layer.layer(RequireLogin::new().layer(service_fn(answered)));
    let refused = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(text(refused).await.contains("not_signed_in"));
}

#[tokio::test]
async fn layers_that_wrap_bodies_go_inside_and_outside() {
    let world = World::memory();
    let sessions = || SessionLayer::new(world.node().sessions.clone());
    let service = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(sessions())
        .layer(TraceLayer::new_for_http())
        .service(service_fn(answered));
    assert_eq!(text(service.oneshot(navigation()).await.unwrap()).await, "1");

    let service = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(sessions())
        .layer(TraceLayer::new_for_http())
        .layer(RequireLogin::new())
        .layer(TraceLayer::new_for_http())
        .service(service_fn(answered));
    let page = service.oneshot(navigation()).await.unwrap();
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(text(page).await.contains("<h1>Unauthorized</h1>"));
}

#[tokio::test]
async fn a_service_of_plain_strings_has_sessions() {
    let world = World::memory();
    let echo = async |request: Request<String>| Ok::<_, Infallible>(request.map(|body| body));
    let service = SessionLayer::new(world.node().sessions.clone())
        .layer(service_fn(echo).map_response(|echoed| Response::new(echoed.into_body())));
    let response = service.oneshot(Request::new("hello".to_owned())).await.unwrap();
    assert_eq!(text(response).await, "hello");
}

#[tokio::test]
async fn without_the_layer_there_is_no_session() {
    let refused = visits(Request::new(())).await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
