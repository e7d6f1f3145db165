//! Why a request was not served, as its sender reads it: JSON, or a page for somebody who looks.

use axum::body::Body;
use cloakroom::Refusal;
use http::{HeaderMap, Response, StatusCode};

/// Why a request was not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Problem {
    /// 400: the request cannot be meant; why, in plain words.
    BadRequest(&'static str),
    /// 401: somebody has to sign in.
    NotSignedIn,
    /// 403: nobody may have this from outside.
    Denied,
    /// 403: they lack a role.
    RoleMissing,
    /// 403: not from this address.
    WrongAddress,
    /// 404: there is no such page of the gateway's own.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 413: the body is too large.
    TooLarge,
    /// 429: too many tries; come back after so many seconds.
    TooMany(u64),
    /// 502: no server of the upstream could be reached.
    UpstreamAway,
    /// 504: the upstream did not answer in time.
    UpstreamSlow,
    /// 503: the session store does not answer. The client stays signed in.
    StoreAway,
    /// 508: somebody is sent to and fro.
    Loop,
    /// 500: something of the gateway's own.
    Broken,
}

/// Who reads an answer: what of a request's headers decides on its form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) headers: &'a HeaderMap,
}

impl Problem {
    /// The response: a page where `Accept` prefers HTML, else JSON.
    pub(crate) fn response(self, _reader: Reader<'_>) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response
    }

    /// What the session's refusal is here.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        match refusal.status() {
            StatusCode::SERVICE_UNAVAILABLE => Self::StoreAway,
            StatusCode::BAD_REQUEST => Self::BadRequest("several sessions came along at once"),
            _ => Self::Broken,
        }
    }

    /// The status that stands for it.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
            Self::Denied | Self::RoleMissing | Self::WrongAddress => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::UpstreamAway => StatusCode::BAD_GATEWAY,
            Self::UpstreamSlow => StatusCode::GATEWAY_TIMEOUT,
            Self::StoreAway => StatusCode::SERVICE_UNAVAILABLE,
            Self::Loop => StatusCode::LOOP_DETECTED,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
