//! Counts a browser's visits.
//!
//! `cargo run -p cloakroom --example visits`, then open <http://localhost:3000>.

use std::error::Error;

use axum::Router;
use axum::routing::get;
use cloakroom::{MemoryStore, Refusal, Session, SessionLayer, Sessions, Slot};

const VISITS: Slot<u64> = Slot::new("visits");

async fn visits(session: Session) -> Result<String, Refusal> {
    session.update(VISITS, |visits| *visits += 1)?;
    let visits = session.get(VISITS)?.unwrap_or_default();
    Ok(format!("You were here {visits} times."))
}

pub(crate) fn app(sessions: Sessions) -> Router {
    let router = Router::new().route("/", get(visits));
    router.layer(SessionLayer::new(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sessions = cloakroom::sessions(MemoryStore::new()).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app(sessions)).await?)
}
