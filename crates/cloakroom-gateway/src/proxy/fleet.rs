//! All upstreams, and the forwarding of a request to one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, Response};

use super::forward::{Errand, forward};
use super::upgrade::Vigil;
use super::upstream::Upstream;
use super::{Balance, Borders, UpstreamSettings};
use crate::access::{Permit, Rule};
use crate::fault::Fault;
use crate::pages::Problem;

/// All upstreams by name. What a server's state is (connections, health) survives a new fleet that
/// has the same server.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    upstreams: HashMap<Arc<str>, Arc<Upstream>>,
    borders: Arc<Borders>,
}

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
    /// The login that an upgraded connection ends with, where the rule asks for one.
    pub(crate) vigil: Option<Vigil>,
}

/// What an upstream wants to be told of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants<'f> {
    /// Whether it makes a difference what leads to the same server again.
    pub(crate) affinity: bool,
    /// The audience of the assertion of who asks, where there is to be one.
    pub(crate) audience: Option<&'f str>,
}

impl Fleet {
    /// The fleet that these settings want; servers that `before` has, too, are the same ones.
    /// Called on a runtime, it looks after its servers there: their idle connections, and whether
    /// they are well.
    pub(crate) fn new(
        settings: &[UpstreamSettings],
        borders: Borders,
        before: Option<&Self>,
    ) -> Result<Self, Fault> {
        let make = |settings: &UpstreamSettings| {
            let before = before.and_then(|before| before.upstreams.get(&settings.name));
            let upstream = Upstream::new(settings.clone(), before.map(Arc::as_ref))?;
            Ok((Arc::clone(&settings.name), Arc::new(upstream)))
        };
        let upstreams = settings.iter().map(make).collect::<Result<_, Fault>>()?;
        Ok(Self { upstreams, borders: Arc::new(borders) })
    }

    /// What a rule's upstream wants to be told.
    pub(crate) fn wants(&self, rule: &Rule) -> Wants<'_> {
        let settings = self.upstream(rule).map(|upstream| &upstream.settings);
        Wants {
            affinity: settings.is_some_and(|settings| settings.balance == Balance::Sticky),
            audience: settings.and_then(|settings| settings.audience.as_deref()),
        }
    }

    /// Forwards a request and returns the response's head as soon as it is there; bodies are
    /// streamed both ways. A problem where no server has answered.
    pub(crate) async fn forward(&self, order: Order) -> Result<Response<Body>, Problem> {
        let Order { permit, request, identity, affinity, client, https, vigil } = order;
        let upstream = self.upstream(permit.rule()).ok_or(Problem::NotFound)?;
        let path = permit.path().as_str();
        let errand = Errand { path, request, identity, affinity, client, https, vigil };
        forward(upstream, &self.borders, errand).await
    }

    fn upstream(&self, rule: &Rule) -> Option<&Upstream> {
        self.upstreams.get(rule.upstream.as_ref()?).map(Arc::as_ref)
    }
}
