//! Serves browsers by cookie and apps by header: an app sends `X-Session-Token`, empty at first,
//! and keeps what comes back in the same header.
//!
//! `cargo run -p cloakroom --example mobile`, then `curl -i -H 'X-Session-Token;' -X POST
//! localhost:3000/notes -d 'buy milk'`.

use std::error::Error;

use axum::routing::get;
use axum::{Json, Router};
use cloakroom::{
    BadCookie, CookieConfig, MemoryStore, Refusal, Session, SessionLayer, Sessions, Slot, Transport,
};
use http::HeaderName;

const NOTES: Slot<Vec<String>> = Slot::new("notes");
const TOKEN: HeaderName = HeaderName::from_static("x-session-token");

async fn list(session: Option<Session>) -> Result<Json<Vec<String>>, Refusal> {
    let notes = match session {
        Some(session) => session.get(NOTES)?,
        None => None,
    };
    Ok(Json(notes.unwrap_or_default()))
}

async fn add(session: Session, note: String) -> Result<Json<usize>, Refusal> {
    let add = move |notes: &mut Vec<String>| {
        notes.push(note.clone());
        notes.len()
    };
    Ok(Json(session.transact(NOTES, add).await?))
}

pub(crate) fn app(sessions: Sessions) -> Result<Router, BadCookie> {
    let transport = Transport::cookie_or_header(CookieConfig::default(), TOKEN)?;
    Ok(Router::new()
        .route("/notes", get(list).post(add))
        .layer(SessionLayer::new(sessions).transport(transport)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sessions = cloakroom::sessions(MemoryStore::new()).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app(sessions)?).await?)
}
