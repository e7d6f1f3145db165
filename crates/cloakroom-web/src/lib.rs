//! Cloakroom's sessions for HTTP: a tower layer that opens a request's session when it is first
//! asked for, commits it once the response is there, and carries its token to and fro.
//!
//! ```
//! use axum::{Router, routing::get};
//! use cloakroom_core::{MemoryStore, Sessions, Slot};
//! use cloakroom_web::{Refusal, Session, SessionLayer, TokioTimer};
//!
//! const VISITS: Slot<u64> = Slot::new("visits");
//!
//! async fn visits(session: Session) -> Result<String, Refusal> {
//!     session.update(VISITS, |visits| *visits += 1)?;
//!     Ok(format!("visit {:?}", session.get(VISITS)?))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = Sessions::builder(MemoryStore::new(), TokioTimer).build()?;
//! let app: Router = Router::new()
//!     .route("/", get(visits))
//!     .layer(SessionLayer::new(sessions));
//! # Ok(())
//! # }
//! ```
//!
//! What the layer promises:
//!
//! 1. A request that never asks for its session costs no call to the store and no parsing, and its
//!    response carries no cookie.
//! 2. However many extractors ask, a session is opened once a request, and is the same for all.
//! 3. Whatever response the inner service returns, a 5xx too, what was edited is committed before
//!    the head of the response is sent. A service that fails or panics, and a request that is
//!    dropped, commit nothing.
//! 4. Where the commit fails, the response is replaced by a [`Refusal`], and nothing of it is left.
//!    A store that does not answer is a 503, and the client keeps its token.
//! 5. Where nodes read from a cache, a response says which version of the session its client has
//!    seen, where it does not say so itself, and the client returns that for a few seconds: it is
//!    never shown an older one.
//! 6. A token is sent when it is made, once, on a response that must not be stored. A cookie is
//!    cleared by the request that ended the session, and never for a session that is not found.

mod body;
mod client;
#[cfg(feature = "axum")]
mod extract;
mod future;
mod head;
mod housekeeping;
mod layer;
mod near;
mod refusal;
mod require;
mod return_path;
mod service;
mod session;
mod timer;
pub mod transport;
mod visit;

pub use body::ResponseBody;
pub use client::{BadNetwork, Network, PeerAddr, TrustedProxies};
pub use future::ResponseFuture;
pub use head::Head;
pub use housekeeping::Housekeeping;
pub use layer::SessionLayer;
pub use near::near;
pub use refusal::Refusal;
pub use require::{Require, RequireLogin, RequireRole};
pub use return_path::safe_return_path;
pub use service::SessionService;
pub use session::{Session, SignedIn};
pub use timer::TokioTimer;
pub use transport::{BadCookie, CookieConfig, SameSite, Secure, Transport, cookies};
pub use visit::session;
