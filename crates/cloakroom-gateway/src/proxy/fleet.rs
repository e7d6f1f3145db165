//! All upstreams, and the forwarding of a request to one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Request, Response};

use super::forward::{Errand, forward};
use super::server::Server;
use super::upgrade::Vigil;
use super::upstream::Upstream;
use super::{Authorities, Balance, Borders, ServerSettings, UpstreamSettings};
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
        let mut known = Known::of(before, settings);
        let make = |settings: &UpstreamSettings| {
            let (name, authorities) = (&settings.name, settings.authorities.as_ref());
            let upstream =
                Upstream::new(settings.clone(), |server| known.take(name, server, authorities))?;
            Ok((Arc::clone(name), upstream))
        };
        let upstreams = settings.iter().map(make).collect::<Result<Vec<_>, Fault>>()?;
        let looked_after = |(name, upstream): (_, Upstream)| (name, upstream.looked_after().into());
        let upstreams = upstreams.into_iter().map(looked_after).collect();
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

/// The servers of a fleet before.
struct Known(Vec<KnownServer>);

struct KnownServer {
    upstream: Arc<str>,
    server: Arc<Server>,
    /// Whether its own upstream wants it on.
    stays: bool,
}

impl Known {
    fn of(before: Option<&Fleet>, settings: &[UpstreamSettings]) -> Self {
        let upstreams = before.into_iter().flat_map(|before| &before.upstreams);
        let servers = upstreams.flat_map(|(name, upstream)| {
            let servers = upstream.members.iter().map(|member| Arc::clone(&member.server));
            servers.map(|server| {
                let own = settings.iter().find(|upstream| upstream.name == *name);
                let stays = own.is_some_and(|upstream| {
                    let authorities = upstream.authorities.as_ref();
                    upstream.servers.iter().any(|wanted| server.is(wanted, authorities))
                });
                KnownServer { upstream: Arc::clone(name), server, stays }
            })
        });
        Self(servers.collect())
    }

    /// The upstream's own server of that address; else one that its upstream has given up, as it
    /// is called otherwise now.
    fn take(
        &mut self,
        upstream: &Arc<str>,
        wanted: &ServerSettings,
        authorities: Option<&Authorities>,
    ) -> Option<Arc<Server>> {
        let own = |known: &KnownServer| known.upstream == *upstream;
        let find = |may: &dyn Fn(&KnownServer) -> bool| {
            self.0.iter().position(|known| may(known) && known.server.is(wanted, authorities))
        };
        let index = find(&own).or_else(|| find(&|known| !known.stays))?;
        Some(self.0.swap_remove(index).server)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloakroom_testkit::servers::Certificates;

    use super::*;
    use crate::config::plain_upstream;
    use crate::proxy::{HealthCheck, Scheme};

    fn server(scheme: Scheme, port: u16, weight: u32) -> ServerSettings {
        ServerSettings { scheme, host: "127.0.0.1".to_owned(), port, weight }
    }

    fn upstream(name: &str, ports: &[u16]) -> UpstreamSettings {
        let servers = ports.iter().map(|port| server(Scheme::Http, *port, 1)).collect();
        UpstreamSettings { servers, ..plain_upstream(name, server(Scheme::Http, 1, 1)) }
    }

    fn fleet(settings: &[UpstreamSettings], before: Option<&Fleet>) -> Fleet {
        Fleet::new(settings, Borders::default(), before).unwrap()
    }

    fn servers<'f>(fleet: &'f Fleet, name: &str) -> Vec<&'f Arc<Server>> {
        fleet.upstreams[name].members.iter().map(|member| &member.server).collect()
    }

    fn same(a: &[&Arc<Server>], b: &[&Arc<Server>]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
    }

    #[test]
    fn a_server_stays_the_same_whatever_its_weight_and_its_upstreams_name() {
        let first = fleet(&[upstream("shop", &[1, 2])], None);
        let mut heavier = upstream("shop", &[2, 1]);
        heavier.servers[0].weight = 7;
        let second = fleet(&[heavier], Some(&first));
        let [a, b] = servers(&first, "shop").try_into().unwrap();
        assert!(same(&servers(&second, "shop"), &[b, a]));
        let renamed = fleet(&[upstream("store", &[1, 2])], Some(&second));
        assert!(same(&servers(&renamed, "store"), &[a, b]));
        // What another upstream goes on with is its own; what it gives up is free.
        let (both, more) = (upstream("store", &[1, 2]), upstream("shop", &[1, 3]));
        let both = fleet(&[more, both], Some(&renamed));
        assert!(same(&servers(&both, "store"), &[a, b]));
        assert!(!same(&servers(&both, "shop")[..1], &[a]));
        let moved = fleet(&[upstream("store", &[1]), upstream("shop", &[2, 1])], Some(&both));
        assert!(same(&servers(&moved, "store"), &[a]));
        assert!(same(&servers(&moved, "shop")[..1], &[b]));
        assert!(same(&servers(&moved, "shop")[1..], &servers(&both, "shop")[..1]));
    }

    #[tokio::test]
    async fn a_fleet_that_cannot_be_leaves_the_checks_of_the_one_before() {
        let (path, every, timeout) =
            ("/".to_owned(), Duration::from_secs(60), Duration::from_secs(1));
        let check = HealthCheck { path, every, timeout, up_after: 1, down_after: 1 };
        let checked = UpstreamSettings { health: Some(check), ..upstream("shop", &[1]) };
        let first = fleet(&[checked], None);
        let health = &servers(&first, "shop")[0].health;
        let checks = 1;
        assert!(health.set_down(checks, true), "these checks count");
        let mut bad = upstream("bad", &[2]);
        bad.servers[0].host = "a b".to_owned();
        assert!(
            Fleet::new(&[upstream("shop", &[1]), bad], Borders::default(), Some(&first)).is_err()
        );
        assert!(health.set_down(checks, false), "they still do, and it was down until now");
    }

    #[test]
    fn a_server_that_others_vouch_for_is_another() {
        let authorities = |signed: &Certificates| {
            Authorities::of_pem(&std::fs::read(signed.authority()).unwrap()).unwrap()
        };
        let (one, other) = (Certificates::make(), Certificates::make());
        let vouched = |signed: &Certificates| {
            let authorities = Some(authorities(signed));
            let plain = plain_upstream("shop", server(Scheme::Https, 1, 1));
            UpstreamSettings { authorities, ..plain }
        };
        let first = fleet(&[vouched(&one)], None);
        let again = fleet(&[vouched(&one)], Some(&first));
        assert!(same(&servers(&again, "shop"), &servers(&first, "shop")));
        let changed = fleet(&[vouched(&other)], Some(&again));
        assert!(!same(&servers(&changed, "shop"), &servers(&first, "shop")));
    }
}
