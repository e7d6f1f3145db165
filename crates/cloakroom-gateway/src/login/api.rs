//! The login for programs: JSON in, JSON out, with a cookie or with a token in a header, as the
//! session's transport has it.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Serialize;

use super::desk::Desk;
use super::routes::Asked;
use super::sign_in::Credentials;
use crate::pages::when::rfc3339;
use crate::pages::{Language, Problem};
use crate::visitor::User;

type Answer<T> = Result<Json<T>, Problem>;

/// Who is signed in.
#[derive(Debug, Serialize)]
pub(super) struct UserAnswer {
    user: Option<String>,
    roles: Vec<String>,
    session: Option<String>,
    authenticated_at: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct SessionsAnswer {
    sessions: Vec<OneOfThem>,
}

/// One of a user's sessions.
#[derive(Debug, Serialize)]
struct OneOfThem {
    key: String,
    device: String,
    address: Option<String>,
    place: Option<String>,
    authenticated_at: String,
    last_used: String,
    current: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct EndedAnswer {
    /// How many.
    ended: usize,
}

pub(super) async fn log_in(
    State(desk): State<Desk>,
    asked: Asked,
    credentials: Result<Json<Credentials>, JsonRejection>,
) -> Answer<UserAnswer> {
    let Json(credentials) = credentials.map_err(|rejection| unreadable(&rejection))?;
    let account = desk.sign_in(&asked, credentials).await?;
    let session = &asked.session;
    Ok(Json(UserAnswer {
        user: Some(account.name),
        roles: account.roles,
        session: session.key().map(|key| key.to_string()),
        authenticated_at: session.authenticated_at().map(rfc3339),
    }))
}

pub(super) async fn log_out(asked: Asked) -> Answer<UserAnswer> {
    asked.session.log_out()?;
    asked.session.commit().await?.done()?;
    Ok(Json(UserAnswer { user: None, roles: Vec::new(), session: None, authenticated_at: None }))
}

/// Tells who is signed in. Makes no session.
pub(super) async fn me(asked: Asked) -> Answer<UserAnswer> {
    let User { id, roles, session, authenticated_at } = signed_in(&asked)?.clone();
    Ok(Json(UserAnswer {
        user: Some(id),
        roles,
        session: session.map(|key| key.to_string()),
        authenticated_at: authenticated_at.map(rfc3339),
    }))
}

/// Lists the user's sessions.
pub(super) async fn sessions(State(desk): State<Desk>, asked: Asked) -> Answer<SessionsAnswer> {
    let found = desk.sessions_of(signed_in(&asked)?, Language::English).await?;
    let sessions = found.into_iter().map(|mine| OneOfThem {
        key: mine.key,
        device: mine.device,
        address: mine.address,
        place: mine.place,
        authenticated_at: rfc3339(mine.authenticated_at),
        last_used: rfc3339(mine.last_accessed),
        current: mine.current,
    });
    Ok(Json(SessionsAnswer { sessions: sessions.collect() }))
}

/// Ends one of the user's sessions.
pub(super) async fn end(
    State(desk): State<Desk>,
    asked: Asked,
    key: Result<Path<String>, PathRejection>,
) -> Answer<EndedAnswer> {
    let user = signed_in(&asked)?;
    // What is not even text is no session's key either.
    let Path(key) = key.map_err(|_| Problem::NotFound)?;
    match desk.end_one(&asked, user, &key).await? {
        true => Ok(Json(EndedAnswer { ended: 1 })),
        false => Err(Problem::NotFound),
    }
}

/// Ends all of the user's sessions but the one that asks.
pub(super) async fn end_others(State(desk): State<Desk>, asked: Asked) -> Answer<EndedAnswer> {
    let user = signed_in(&asked)?;
    let ended = desk.sessions.end_all(&user.id, user.session).await?;
    Ok(Json(EndedAnswer { ended }))
}

fn signed_in(asked: &Asked) -> Result<&User, Problem> {
    asked.user.as_ref().ok_or(Problem::NotSignedIn)
}

/// What is wrong with a body, without a word of what is in it: it may be a password.
fn unreadable(rejection: &JsonRejection) -> Problem {
    match rejection.status() {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Problem::BadRequest("send JSON, with the header `Content-Type: application/json`")
        }
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge,
        StatusCode::UNPROCESSABLE_ENTITY => {
            Problem::BadRequest("a field of the body is missing, or is not of its type")
        }
        _ => Problem::BadRequest("the body is not valid JSON"),
    }
}
