//! The names that lead here, and no other: a page elsewhere whose own name was made to lead to this
//! machine is the same site to a browser, and could sign its visitor in.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;

use super::problem::Problem;

const NAMES: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Refuses a request that is for another host, or for none, or for several.
pub(in crate::demo) async fn only_ours(request: Request, next: Next) -> Response<Body> {
    if request.headers().get_all(HOST).iter().count() != 1 {
        let message = "A request has one header `Host`.";
        return Problem::new(StatusCode::BAD_REQUEST, "bad_host", message).into_response();
    }
    let meant = request.uri().authority().is_none_or(|meant| ours(meant).is_some());
    if !meant || called(request.headers()).is_none() {
        let message = "The demo answers to 127.0.0.1 and localhost only.";
        let status = StatusCode::MISDIRECTED_REQUEST;
        return Problem::new(status, "wrong_host", message).into_response();
    }
    next.run(request).await
}

/// The name that a client called us by; `None` where it is not one of ours.
pub(super) fn called(headers: &HeaderMap) -> Option<&'static str> {
    let authority = headers.get(HOST)?.to_str().ok()?.parse().ok()?;
    ours(&authority)
}

fn ours(authority: &Authority) -> Option<&'static str> {
    let no_user = !authority.as_str().contains('@');
    let mut names = NAMES.into_iter();
    names.find(|name| no_user && authority.host().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_lead_here() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, value.parse().unwrap());
            called(&headers)
        };
        assert_eq!(with("LocalHost:3001"), Some("localhost"));
        assert_eq!(with("127.0.0.1:3001"), Some("127.0.0.1"));
        assert_eq!(with("127.0.0.1"), Some("127.0.0.1"));
        assert_eq!(with("[::1]:3001"), Some("[::1]"));
        for other in [
            "evil.example",
            "evil.example:3001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example@localhost",
            "127.0.0.2",
            "::1",
            "",
            " ",
            "localhost/",
        ] {
            assert_eq!(with(other), None, "{other:?}");
        }
        assert_eq!(called(&HeaderMap::new()), None);
    }
}
