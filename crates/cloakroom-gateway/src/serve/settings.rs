//! What can be set about the connections from clients.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where to listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listen {
    pub(crate) address: SocketAddr,
    /// By TLS, with these files; they are read again when they change.
    pub(crate) tls: Option<TlsFiles>,
}

/// A certificate's files, as PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TlsFiles {
    /// The certificate and those that lead to its authority.
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
}

/// What one client can take.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Limits {
    /// Connections at once; more wait to be accepted. Default 20,000.
    pub(crate) connections: usize,
    /// How long the head of a request may take to arrive, a TLS handshake, and the body of a request
    /// to a page of the gateway's own. Default 10 seconds.
    pub(crate) head: Duration,
    /// How long a connection may wait for its next request. Default 75 seconds.
    pub(crate) keep_alive: Duration,
    /// How long a client may take nothing of what it is sent. Default 60 seconds.
    pub(crate) stalled: Duration,
    /// Requests at once on one connection by HTTP/2. Default 128.
    pub(crate) streams: u32,
    /// Requests that a client may give up on one connection by HTTP/2 before their turn has come,
    /// and that may be refused; more end the connection. Default 32.
    pub(crate) resets: usize,
    /// The most bytes of a request's head. Default 64 KiB.
    pub(crate) head_bytes: usize,
    /// The most headers of a request. Default 100.
    pub(crate) headers: usize,
    /// How long what is under way has to finish after the gateway was asked to stop. Default 30
    /// seconds.
    pub(crate) drain: Duration,
    /// How long readiness says no before connections are closed, so that balancers go elsewhere.
    /// Default 0.
    pub(crate) unready_first: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            head: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            stalled: Duration::from_secs(60),
            streams: 128,
            resets: 32,
            head_bytes: 64 * 1024,
            headers: 100,
            drain: Duration::from_secs(30),
            unready_first: Duration::ZERO,
        }
    }
}
