//! What can be set about an upstream.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Authorities;

/// A service behind the gateway: some servers that are all alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UpstreamSettings {
    /// What rules call it.
    pub(crate) name: Arc<str>,
    pub(crate) servers: Vec<ServerSettings>,
    /// Who vouches for servers by https, where not the machine's authorities do.
    pub(crate) authorities: Option<Authorities>,
    pub(crate) balance: Balance,
    pub(crate) timeouts: Timeouts,
    pub(crate) health: Option<HealthCheck>,
    /// How many other servers an idempotent request is sent to after one could not be reached.
    pub(crate) retries: u32,
    /// Whether the client's `Host` is passed on; else the server's own name is.
    pub(crate) keep_host: bool,
    /// The audience of the signed assertion of who asks, where requests carry one.
    pub(crate) audience: Option<Arc<str>>,
    /// The most bytes of a request's body; `None`: any number.
    pub(crate) most_body: Option<u64>,
}

/// One server.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ServerSettings {
    pub(crate) scheme: Scheme,
    /// Host and port.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// How much of the work it gets, beside the others; at least 1.
    pub(crate) weight: u32,
}

impl fmt::Display for ServerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::H2c => "h2c",
        };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// How a server is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Scheme {
    /// HTTP/1.1.
    Http,
    /// HTTP/1.1 by TLS.
    Https,
    /// HTTP/2 without TLS, known beforehand.
    H2c,
}

/// Which server gets a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Balance {
    /// Each in its turn.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way, for its weight.
    LeastConnections,
    /// The one that the session's key leads to, or the anonymous visitor's id, or the address.
    Sticky,
    /// The one that a cookie of this name says, which the gateway sets.
    Cookie(String),
}

/// How long each phase of a request may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Timeouts {
    /// Until a connection is there. Default 2 seconds.
    pub(crate) connect: Duration,
    /// From the request until the response's head. When it is over, it begins anew if something of the
    /// request's body was sent meanwhile. Default 60 seconds.
    pub(crate) response: Duration,
    /// How long nothing may come of a body, either way, and a server take nothing of what it is sent.
    /// Default 60 seconds.
    pub(crate) body_idle: Duration,
    /// How long a connection waits unused. Default 60 seconds.
    pub(crate) keep_alive: Duration,
    /// How long nothing may come, either way, of a connection that goes on with another protocol.
    /// Default 1 hour.
    pub(crate) upgraded_idle: Duration,
}

/// A request that a server has to answer with 2xx or 3xx again and again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HealthCheck {
    pub(crate) path: String,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    /// After how many good answers in a row a server is up again.
    pub(crate) up_after: u32,
    /// After how many bad ones it is down.
    pub(crate) down_after: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response: Duration::from_secs(60),
            body_idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(60),
            upgraded_idle: Duration::from_secs(60 * 60),
        }
    }
}
