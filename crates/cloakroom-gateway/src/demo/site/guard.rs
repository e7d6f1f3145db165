//! What every request passes before it is looked at, and what every response carries.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::problem::Problem;

/// How long a request may take, its body's arrival included.
const IN_TIME: Duration = Duration::from_secs(15);
const HEADERS: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`, under which browsers send no origin with a form either.
    (REFERRER_POLICY, "same-origin"),
    (CACHE_CONTROL, "no-store"),
];

pub(in crate::demo) type Refuse = fn(ProtectionError) -> Response<Body>;

/// Refuses what another site's page wants changed here. Programs that are no browser send neither
/// of the headers that tell, and pass.
pub(in crate::demo) fn cross_site() -> CsrfLayer<Refuse> {
    let refuse: Refuse = |_| {
        let message = "This request comes from another site's page.";
        Problem::new(StatusCode::FORBIDDEN, "cross_site", message).into_response()
    };
    CsrfLayer::new().with_rejection_response(refuse)
}

/// Gives a request up that takes too long.
pub(super) async fn in_time(request: Request, next: Next) -> Response<Body> {
    let answer = tokio::time::timeout(IN_TIME, next.run(request)).await;
    answer.unwrap_or_else(|_| {
        let message = "The request did not arrive, or could not be answered, in time.";
        Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message).into_response()
    })
}

/// Sets what every response carries.
pub(super) async fn with_headers(mut response: Response<Body>) -> Response<Body> {
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
