//! Who asks, for services behind a Cloakroom gateway: the gateway's signed assertion is verified
//! without any store, and passed on to the services that a service asks in turn.
//!
//! ```
//! use axum::{Router, routing::get};
//! use cloakroom_identity::{Identity, IdentityLayer, Trust};
//! use cloakroom_jwt::KeySet;
//!
//! async fn orders(identity: Identity) -> String {
//!     format!("The orders of {}.", identity.user().unwrap_or("somebody"))
//! }
//!
//! # fn example(keys: KeySet) -> Router {
//! let trust = Trust::in_keys("https://shop.example", "orders", keys);
//! Router::new().route("/orders", get(orders)).layer(IdentityLayer::new(trust))
//! # }
//! ```
//!
//! With the feature `reqwest` the keys are fetched from the gateway, and again when an assertion is
//! signed with one that is not known yet:
//!
//! ```
//! # #[cfg(feature = "reqwest")] {
//! use cloakroom_identity::{HttpKeys, Trust};
//!
//! let keys = HttpKeys::new(reqwest::Client::new(), "http://gateway:8080/.cloakroom/jwks.json");
//! let trust = Trust::in_fetched("https://shop.example", "orders", keys);
//! # }
//! ```
//!
//! # Passing it on
//!
//! An assertion is for one audience. A service that is asked by another on somebody's behalf says so:
//! `Trust::and_for("orders")` in the service `billing` admits what the gateway signed for `orders`.
//! [`ForwardLayer`] adds the assertion to outgoing requests that carry an [`Identity`] in their
//! extensions, and `Caller` to those of reqwest; both to the origins that they were given and to no
//! others. Nothing is passed on by itself: which request is made on whose behalf stands in the code.
//!
//! # What it is not
//!
//! An assertion lives for a minute, and is admitted for as long, also where its session has ended in
//! the meantime. Whoever holds one can present it: services speak with each other in a network of
//! their own, or by TLS.

#[cfg(feature = "reqwest")]
mod caller;
#[cfg(feature = "axum")]
mod extract;
mod forward;
#[cfg(feature = "reqwest")]
mod http_keys;
mod identity;
mod layer;
mod origins;
mod refusal;
mod source;
mod trust;

use http::HeaderName;

#[cfg(feature = "reqwest")]
pub use caller::Caller;
pub use forward::{Forward, ForwardLayer};
#[cfg(feature = "reqwest")]
pub use http_keys::HttpKeys;
pub use identity::Identity;
pub use layer::{IdentityLayer, IdentityService};
pub use origins::{BadOrigin, Origins};
pub use refusal::Refusal;
pub use source::{BoxError, FetchKeys};
pub use trust::{Trust, Unverified};

/// The header that carries the assertion, unless said otherwise.
pub const HEADER: HeaderName = HeaderName::from_static("x-identity");
