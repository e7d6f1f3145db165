//! All upstreams, and the forwarding of a request to one.

use std::net::IpAddr;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, Response};

use super::UpstreamSettings;
use crate::access::{Permit, Rule};
use crate::fault::Fault;
use crate::pages::Problem;

/// All upstreams by name. What a server's state is (connections, health) survives a new fleet that
/// has the same server.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {}

/// A request that may pass, and what its service is told.
#[derive(Debug)]
pub(crate) struct Order {
    /// Without it nothing is forwarded.
    pub(crate) permit: Permit,
    pub(crate) request: Request<Body>,
    /// Headers that say who asks. Whatever a client sent under such a name does not get through.
    pub(crate) identity: Vec<(HeaderName, HeaderValue)>,
    /// What leads to the same server again: the session's key, or the anonymous visitor's id.
    pub(crate) affinity: Option<String>,
    /// The client.
    pub(crate) client: Option<IpAddr>,
    /// Whether the client came by HTTPS.
    pub(crate) https: bool,
}

impl Fleet {
    /// The fleet that these settings want; servers that `before` has, too, are the same ones.
    pub(crate) fn new(
        _settings: &[UpstreamSettings],
        _before: Option<&Self>,
    ) -> Result<Self, Fault> {
        Ok(Self {})
    }

    /// The audience of the assertion that a rule's upstream wants, if it wants one.
    pub(crate) fn audience(&self, _rule: &Rule) -> Option<&str> {
        None
    }

    /// Forwards a request and returns the response's head as soon as it is there; bodies are
    /// streamed both ways. A problem where no server has answered.
    pub(crate) async fn forward(&self, _order: Order) -> Result<Response<Body>, Problem> {
        Err(Problem::UpstreamAway)
    }
}
