//! Why a request is not done, for programs: JSON of the same shape as the library's own refusals.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header::{ACCEPT, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use cloakroom::{Error, Refusal};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::page::Notice;
use super::request::{Node, Trouble};
use super::shop::NoRoom;
use super::users::Unchecked;

/// Why a request is not done.
#[derive(Debug)]
pub(super) enum Problem {
    /// Its session is the reason.
    Refused(Refusal),
    /// Anything else.
    Other {
        /// The response's status.
        status: StatusCode,
        /// The word that programs can tell problems apart by.
        code: &'static str,
        /// What a person can make of it.
        message: String,
    },
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self::Other { status, code, message: message.into() }
    }

    /// That a name and a password do not belong together, or that there is no such name: the same
    /// answer, so that nobody learns which names there are.
    pub(super) fn wrong_password() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "wrong_credentials", WRONG_CREDENTIALS)
    }
}

/// What is said of any login that fails.
pub(super) const WRONG_CREDENTIALS: &str = "This name and this password do not belong together.";

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<NoRoom> for Problem {
    fn from(no_room: NoRoom) -> Self {
        let code = match no_room {
            NoRoom::Name => "bad_item",
            NoRoom::Quantity => "bad_quantity",
            NoRoom::OfOne | NoRoom::Items => "cart_full",
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, sentence(no_room))
    }
}

impl From<Unchecked> for Problem {
    fn from(unchecked: Unchecked) -> Self {
        match unchecked {
            Unchecked::Busy | Unchecked::Away => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", sentence(unchecked))
            }
            Unchecked::Broken => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", sentence(unchecked))
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Refused(refusal) => return refusal.into_response(),
            Self::Other { status, code, message } => (status, code, message),
        };
        let body = Json(json!({ "error": code, "message": message }));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => (status, [(RETRY_AFTER, "1")], body).into_response(),
            _ => (status, body).into_response(),
        }
    }
}

/// An error's text as a sentence.
pub(super) fn sentence(error: impl ToString) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}

/// A request's JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(body) = Json::from_request(request, state).await.map_err(unreadable)?;
        Ok(Self(body))
    }
}

/// What is wrong with a body, without a word of what is in it: it may be a password.
fn unreadable(rejection: JsonRejection) -> Problem {
    let (code, message) = match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("not_json", "Send JSON, with the header `Content-Type: application/json`.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "The body is too large."),
        StatusCode::UNPROCESSABLE_ENTITY => {
            ("wrong_fields", "A field of the body is missing, or is not of its type.")
        }
        _ => ("malformed", "The body is not valid JSON."),
    };
    Problem::new(rejection.status(), code, message)
}

/// Answers a request for what there is not: as a page to those that ask for one.
pub(super) async fn not_found(node: Node, headers: HeaderMap) -> Response {
    if wants_page(&headers) {
        let notice = Notice { title: "There is no such page.", text: "The shop is at the start." };
        return Trouble::new(&node, StatusCode::NOT_FOUND, notice).into_response();
    }
    Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here.").into_response()
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Answers a method that a path does not know; the header that says which it knows is added later.
/// A browser that looks where only forms go is shown the page that they are on.
pub(super) async fn method_not_allowed(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let of_programs = uri.path().starts_with("/api/");
    if method == Method::GET && !of_programs && wants_page(&headers) {
        return Redirect::to("/").into_response();
    }
    let message = "This path does not know the method; see the header `Allow`.";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method_not_allowed", message).into_response()
}
