//! The endpoints that other proxies ask whether a request may pass: for those who have a proxy
//! already. The proxy forwards; the gateway judges, and says who asks.
//!
//! Each proxy has its own endpoint, which reads the headers that this proxy sets whatever its client
//! has sent, and no others. `deploy/` has a configuration for each.

mod endpoint;
mod original;
mod spelling;

use async_trait::async_trait;
use axum::body::Body;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response};

use crate::pages::{Brand, Problem};

pub(crate) use endpoint::{Own, router};

/// A proxy that asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Proxy {
    Nginx,
    Traefik,
    Caddy,
    Envoy,
    Haproxy,
}

impl Proxy {
    const ALL: [Self; 5] = [Self::Nginx, Self::Traefik, Self::Caddy, Self::Envoy, Self::Haproxy];

    /// Where it asks.
    const fn path(self) -> &'static str {
        match self {
            Self::Nginx => "/.cloakroom/auth/nginx",
            Self::Traefik => "/.cloakroom/auth/traefik",
            Self::Caddy => "/.cloakroom/auth/caddy",
            Self::Envoy => "/.cloakroom/auth/envoy",
            Self::Haproxy => "/.cloakroom/auth/haproxy",
        }
    }
}

/// Judges a request that a proxy asks about, as the gateway judges its own.
#[async_trait]
pub(crate) trait Decide: Send + Sync + 'static {
    /// Judges a request. `original`: as the proxy's client has sent it, with an absolute address. Its
    /// extensions are the asking request's, so that its session is found; the peer is the proxy's
    /// client, and `X-Forwarded-For` what that client says of others before it.
    async fn decide(&self, original: &Parts) -> Result<Answer, Problem>;

    /// Whose pages its problems are shown on.
    fn brand(&self) -> &Brand;
}

/// What becomes of a request that a proxy asks about.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It may pass.
    Pass {
        /// Headers that say who asks.
        identity: Vec<(HeaderName, HeaderValue)>,
        /// Cookies for the client.
        cookies: Vec<HeaderValue>,
    },
    /// Its sender has to sign in first, which this response says.
    SignIn(Response<Body>),
}

#[cfg(test)]
mod tests;
