//! The layer around a tower service that has never heard of axum.

use bytes::Bytes;
use cloakroom_core::Slot;
use cloakroom_web::{Refusal, RequireLogin, SessionLayer, session};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::app::World;

const VISITS: Slot<u64> = Slot::new("visits");

/// A body that is neither axum's nor anybody's.
#[derive(Default, Debug)]
struct Plain(Bytes);

impl From<Bytes> for Plain {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

async fn visits(request: Request<()>) -> Result<Response<Plain>, Refusal> {
    let session = session(&request).await?;
    session.update(VISITS, |visits| *visits += 1)?;
    let visits = session.get(VISITS)?.unwrap_or_default();
    Ok(Response::new(Plain(visits.to_string().into())))
}

/// The service's own way from refusals to responses.
async fn answered(request: Request<()>) -> Result<Response<Plain>, std::convert::Infallible> {
    Ok(visits(request).await.unwrap_or_else(Refusal::response))
}

#[tokio::test]
async fn any_tower_service_has_sessions() {
    let world = World::memory();
    let mut service = SessionLayer::new(world.node().sessions.clone()).layer(service_fn(answered));
    let first = service.ready().await.unwrap().call(Request::new(())).await.unwrap();
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let again = Request::builder().header(COOKIE, cookie).body(()).unwrap();
    let second = service.ready().await.unwrap().call(again).await.unwrap();
    assert_eq!((first.into_body().0, second.into_body().0), ("1".into(), "2".into()));
}

#[tokio::test]
async fn any_tower_service_can_require_a_login() {
    let world = World::memory();
    let layer = SessionLayer::new(world.node().sessions.clone());
    let service = layer.layer(RequireLogin::new().layer(service_fn(answered)));
    let refused = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_the_layer_there_is_no_session() {
    let refused = visits(Request::new(())).await.unwrap_err();
    assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
