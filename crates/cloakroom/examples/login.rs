//! Asks for a login where one is needed, and comes back to where the user wanted to go.
//!
//! `cargo run -p cloakroom --example login`, then open <http://localhost:3000/account>.

use std::error::Error;

use axum::extract::{Form, Query};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, http::StatusCode};
use cloakroom::{
    Login, MemoryStore, Refusal, RequireLogin, RequireRole, Session, SessionLayer, Sessions,
    SignedIn, safe_return_path,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Asked {
    return_to: Option<String>,
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

async fn login_page() -> Html<&'static str> {
    // Without an action, the form goes back to this address, `return_to` included.
    Html(
        "<form method=post><input name=name autocomplete=username>\
         <input name=password type=password autocomplete=current-password>\
         <button>Sign in</button></form>",
    )
}

async fn log_in(
    session: Session,
    Query(asked): Query<Asked>,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Refusal> {
    let Some(login) = verify(&credentials) else {
        return Ok((StatusCode::UNAUTHORIZED, "That is not right.").into_response());
    };
    session.log_in(login)?;
    // The path comes from the browser, so from anybody.
    let back = asked.return_to.as_deref().and_then(safe_return_path);
    Ok(Redirect::to(back.unwrap_or("/account")).into_response())
}

/// Stands in for a table of password hashes.
fn verify(credentials: &Credentials) -> Option<Login> {
    match (&*credentials.name, &*credentials.password) {
        ("ada", "lovelace") => Some(Login::new("ada").role("admin")),
        ("bob", "builder") => Some(Login::new("bob")),
        _ => None,
    }
}

async fn log_out(session: Session) -> Result<Redirect, Refusal> {
    session.log_out()?;
    Ok(Redirect::to("/"))
}

async fn account(SignedIn(name): SignedIn) -> String {
    format!("Hello, {name}.")
}

pub(crate) fn app(sessions: Sessions) -> Router {
    let admins = Router::new()
        .route("/admin", get(|| async { "For admins." }))
        .layer(RequireRole::new("admin").login_page("/login"));
    let users = Router::new()
        .route("/account", get(account))
        .layer(RequireLogin::new().login_page("/login"));
    Router::new()
        .route("/", get(|| async { "For everybody." }))
        .route("/login", get(login_page).post(log_in))
        .route("/logout", post(log_out))
        .merge(users)
        .merge(admins)
        .layer(SessionLayer::new(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sessions = cloakroom::sessions(MemoryStore::new()).build()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app(sessions)).await?)
}
