//! The shop as a web site: its routes, and what stands before each of them.

mod api;
mod assets;
mod forms;
pub(super) mod guard;
pub(super) mod host;
mod page;
mod problem;
mod request;
mod shop;
mod text;
mod trail;
mod users;
mod visitor;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, map_response};
use axum::routing::{delete, get, post};
use cloakroom::{BadCookie, CookieConfig, SessionLayer, Sessions, Transport};

pub(crate) use request::Node;

use super::settings::NodeSettings;
use crate::fault::Fault;
use users::Users;

/// The most bytes of a request's body.
const BODY_BYTES: usize = 16 * 1024;
/// The session's cookie. Both nodes get it, because a cookie knows no port.
pub(super) const COOKIE: &str = "cloakroom-demo";

/// What all requests share.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    settings: Arc<NodeSettings>,
    sessions: Sessions,
    users: Arc<Users>,
}

/// The site of one node.
pub(crate) fn router(settings: NodeSettings, sessions: Sessions) -> Result<Router, Fault> {
    let layer = session_layer(&sessions).map_err(|error| Fault::new(error.to_string()))?;
    let users = Arc::new(Users::new());
    let preparing = Arc::clone(&users);
    tokio::spawn(async move { preparing.prepare().await });
    let site = Site { settings: Arc::new(settings), sessions, users };
    let routes = pages()
        .merge(scripts())
        .merge(assets::routes())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed);
    Ok(routes
        .with_state(site)
        .layer(layer)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(guard::cross_site())
        .layer(from_fn(host::only_ours))
        .layer(from_fn(guard::in_time))
        .layer(map_response(guard::with_headers)))
}

fn session_layer(sessions: &Sessions) -> Result<SessionLayer, BadCookie> {
    // The demo has no TLS, and is reached over the loopback interface alone.
    let cookie = CookieConfig::new(COOKIE).insecure_plain_http();
    Ok(SessionLayer::new(sessions.clone()).transport(Transport::cookie(cookie)?))
}

fn pages() -> Router<Site> {
    Router::new()
        .route("/", get(forms::home))
        .route("/login", post(forms::login))
        .route("/logout", post(forms::logout))
        .route("/visit", post(forms::visit))
        .route("/cart", post(forms::cart))
        .route("/sessions/end", post(forms::end))
        .route("/sessions/end-others", post(forms::end_others))
}

fn scripts() -> Router<Site> {
    Router::new()
        .route("/api/session", get(api::session))
        .route("/api/login", post(api::login))
        .route("/api/logout", post(api::logout))
        .route("/api/visit", post(api::visit))
        .route("/api/cart", post(api::cart))
        .route("/api/sessions", get(api::sessions))
        .route("/api/sessions/{key}", delete(api::end))
}
