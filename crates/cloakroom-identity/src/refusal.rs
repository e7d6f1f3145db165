//! What a request gets whose sender is not known.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

/// Why a request is not served: JSON, `{"error": code, "message": message}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// 401: nobody is signed in, or what says so is not good.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// 503: the gateway's keys cannot be fetched.
    #[error("the gateway's keys cannot be fetched")]
    KeysAway,
    /// 500: a handler asks who asks where no [`IdentityLayer`](crate::IdentityLayer) is.
    #[error("no layer verifies who asks")]
    NoLayer,
}

impl Refusal {
    /// Its status.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
            Self::KeysAway => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoLayer => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    const fn body(self) -> &'static str {
        match self {
            Self::NotSignedIn => r#"{"error":"not_signed_in","message":"Sign in first."}"#,
            Self::KeysAway => {
                r#"{"error":"keys_unavailable","message":"Who asks cannot be verified now. Send the request again shortly."}"#
            }
            Self::NoLayer => {
                r#"{"error":"identity_fault","message":"The service does not verify who asks."}"#
            }
        }
    }

    /// The response.
    pub fn response<B: From<&'static str>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.body()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self == Self::KeysAway {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
