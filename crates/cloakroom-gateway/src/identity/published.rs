//! The page of the public keys, for services that verify assertions.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};

use super::Teller;

/// Where the public keys are.
pub(crate) const PATH: &str = "/.cloakroom/jwks.json";

/// The page. It needs no session, and is the same for everybody.
pub(crate) fn router(teller: Teller) -> Router {
    Router::new().route(PATH, get(keys)).with_state(teller)
}

async fn keys(State(teller): State<Teller>) -> Response {
    teller.look_again().await;
    let keys = teller.jwks();
    if keys.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response();
    }
    let kept = format!("public, max-age={}", teller.max_age().as_secs());
    let headers = [(CONTENT_TYPE, "application/jwk-set+json"), (CACHE_CONTROL, kept.as_str())];
    (headers, keys).into_response()
}
