//! The one place that turns a session's errors into responses.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use cloakroom_core::{Error, Limit};
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER,
};
use http::{HeaderValue, Response, StatusCode};
use http_body::Body;

/// What a request gets instead of what it asked for, because of its session.
///
/// As a response it is JSON, `{"error": code, "message": message}`, or a small page for those that
/// prefer HTML. It tells clients what they can do; the log has the rest.
///
/// The response has the refusal in its extensions, so that a layer outside of the
/// [`SessionLayer`](crate::SessionLayer) can make a page of the application's own:
///
/// ```
/// use axum::{Router, middleware::map_response, response::Response};
/// use cloakroom_web::Refusal;
/// # use cloakroom_core::{MemoryStore, Sessions};
/// # use cloakroom_web::{SessionLayer, TokioTimer};
/// use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
///
/// async fn own_page(mut response: Response) -> Response {
///     let Some(refusal) = response.extensions().get::<Refusal>() else {
///         return response;
///     };
///     let page = format!("<h1>{refusal}</h1>");
///     *response.body_mut() = page.into();
///     // The other headers stay: one of them may carry a token.
///     let headers = response.headers_mut();
///     headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
///     headers.remove(CONTENT_LENGTH);
///     response
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sessions = Sessions::builder(MemoryStore::new(), TokioTimer).build()?;
/// let app: Router = Router::new()
///     .layer(SessionLayer::new(sessions))
///     .layer(map_response(own_page));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Refusal {
    kind: &'static Kind,
    source: Option<Arc<Error>>,
}

/// One kind of refusal.
#[derive(PartialEq, Eq)]
struct Kind {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    /// In seconds.
    retry_after: Option<HeaderValue>,
}

const JSON: &str = "application/json";
const SECOND: Option<HeaderValue> = Some(HeaderValue::from_static("1"));

macro_rules! kinds {
    ($($name:ident = $status:ident $code:literal $(retry $after:expr,)? $message:literal;)*) => {
        $(static $name: Kind = Kind {
            status: StatusCode::$status,
            code: $code,
            message: $message,
            retry_after: kinds!(@after $($after)?),
        };)*
    };
    (@after) => { None };
    (@after $after:expr) => { $after };
}

kinds! {
    UNAVAILABLE = SERVICE_UNAVAILABLE "store_unavailable" retry SECOND,
        "The session store does not answer. Send the request again shortly.";
    UNKNOWN = SERVICE_UNAVAILABLE "outcome_unknown" retry SECOND,
        "The session store did not confirm in time. The change was made once or not at all.";
    ENDED = UNAUTHORIZED "session_ended"
        "This session has ended. Nothing was changed; sign in again.";
    NOT_SIGNED_IN = UNAUTHORIZED "not_signed_in"
        "Sign in first.";
    FORBIDDEN = FORBIDDEN "role_missing"
        "You are signed in, but may not do this.";
    SETTLING = CONFLICT "session_settling" retry SECOND,
        "A login has just replaced this session's token. Send the request again with the new one.";
    TWO_SESSIONS = BAD_REQUEST "two_sessions"
        "The request carries the tokens of two sessions. Delete this site's cookies, then sign in again.";
    TOO_MANY_TOKENS = BAD_REQUEST "too_many_tokens"
        "The request carries more session tokens than it may. Delete this site's cookies, then sign in again.";
    SEATS = CONFLICT "too_many_sessions"
        "You are signed in elsewhere as often as you may be. Sign out there first.";
    FULL = INSUFFICIENT_STORAGE "session_full"
        "This is more than a session may hold. Nothing was changed.";
    FAULT = INTERNAL_SERVER_ERROR "session_fault"
        "The service used this request's session in a way that it cannot be used.";
}

impl Kind {
    fn of(error: &Error) -> &'static Self {
        match error {
            Error::Store(_) => &UNAVAILABLE,
            Error::OutcomeUnknown | Error::DeadlinePassed => &UNKNOWN,
            Error::Ended => &ENDED,
            Error::Settling => &SETTLING,
            Error::TwoSessions { .. } => &TWO_SESSIONS,
            Error::TooManyTokens { .. } => &TOO_MANY_TOKENS,
            Error::Limit(Limit::Seats { .. }) => &SEATS,
            Error::Limit(_) | Error::AttributeTooLarge { .. } => &FULL,
            _ => &FAULT,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let kind = Kind::of(&error);
        match kind.status {
            StatusCode::SERVICE_UNAVAILABLE => {
                tracing::warn!(error = &error as &dyn StdError, "a session's store gave no answer");
            }
            StatusCode::INTERNAL_SERVER_ERROR => {
                tracing::error!(error = &error as &dyn StdError, "a session was misused");
            }
            _ => tracing::debug!(error = &error as &dyn StdError, "a session refused"),
        }
        Self { kind, source: Some(Arc::new(error)) }
    }
}

impl Refusal {
    const fn of(kind: &'static Kind) -> Self {
        Self { kind, source: None }
    }

    pub(crate) fn no_layer() -> Self {
        tracing::error!("a session was asked for where no SessionLayer is");
        Self::of(&FAULT)
    }

    /// That nobody is signed in.
    pub const fn not_signed_in() -> Self {
        Self::of(&NOT_SIGNED_IN)
    }

    /// That whoever is signed in lacks a role.
    pub const fn role_missing() -> Self {
        Self::of(&FORBIDDEN)
    }

    /// The response's status.
    pub const fn status(&self) -> StatusCode {
        self.kind.status
    }

    /// The word that clients can tell refusals apart by.
    pub const fn code(&self) -> &'static str {
        self.kind.code
    }

    /// What went wrong with the session, where it was that.
    pub fn error(&self) -> Option<&Error> {
        self.source.as_deref()
    }

    /// The response, as JSON. A [`SessionLayer`](crate::SessionLayer) makes it a page for clients
    /// that prefer one, as long as its body, type and status are these.
    pub fn response<B: From<Bytes>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.json()));
        *response.status_mut() = self.kind.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = &self.kind.retry_after {
            headers.insert(RETRY_AFTER, after.clone());
        }
        response.extensions_mut().insert(self);
        response
    }

    /// Turns a response that is a refusal into a page, where that is what its client likes. What the
    /// application has made of a refusal, or has compressed, stays as it is.
    pub(crate) fn dress<B>(mut response: Response<B>, html: impl Fn() -> bool) -> Response<B>
    where
        B: Body + From<Bytes>,
    {
        let refusal = response.extensions().get::<Self>();
        let Some(refusal) = refusal.filter(|refusal| html() && refusal.is_whole(&response)) else {
            return response;
        };
        *response.body_mut() = B::from(refusal.page());
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(ETAG);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        response
    }

    /// Whether `response` still is what [`Self::response`] has made, as far as that can be told
    /// without reading its body.
    fn is_whole<B: Body>(&self, response: &Response<B>) -> bool {
        let headers = response.headers();
        let json = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == JSON);
        let length = u64::try_from(self.json().len()).ok();
        json && !headers.contains_key(CONTENT_ENCODING)
            && response.status() == self.kind.status
            && response.body().size_hint().exact() == length
    }

    fn json(&self) -> Bytes {
        let Kind { code, message, .. } = self.kind;
        let body = serde_json::json!({ "error": code, "message": message });
        body.to_string().into()
    }

    /// Nothing in it comes from outside, so nothing needs escaping.
    fn page(&self) -> Bytes {
        let title = self.kind.status.canonical_reason().unwrap_or("Error");
        let page = include_str!("refusal.html");
        let page = page.replace("{title}", title);
        page.replace("{message}", self.kind.message).into()
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.kind.status)
            .field("code", &self.kind.code)
            .field("error", &self.source)
            .finish()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.message)
    }
}

impl StdError for Refusal {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let error = self.source.as_deref()?;
        Some(error)
    }
}
