//! Counts the visits of all browsers, on all nodes: start it twice on the same file.
//!
//! `cargo run -p cloakroom --example counter --features sqlite -- 3000 sqlite://counter.db`

use std::error::Error;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use cloakroom::{Refusal, Sessions, Slot};

const VISITS: Slot<u64> = Slot::new("visits");

async fn visits(State(sessions): State<Sessions>) -> Result<String, Refusal> {
    let add = |visits: &mut u64| {
        *visits += 1;
        *visits
    };
    // Replayed where another node came first: no two requests get the same number.
    let visits = sessions.application().update(VISITS, add).await?;
    Ok(format!("This is visit {visits}."))
}

pub(crate) fn app(sessions: Sessions) -> Router {
    Router::new().route("/", get(visits)).with_state(sessions)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().unwrap_or_else(|| "3000".to_owned());
    let url = arguments.next().unwrap_or_else(|| "memory:".to_owned());
    let sessions = cloakroom::sessions(cloakroom::connect(&url).await?).build()?;
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    Ok(axum::serve(listener, app(sessions)).await?)
}
