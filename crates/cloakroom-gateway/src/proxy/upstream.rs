//! One upstream: its servers, and the choice among them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::balance::{Key, in_turn};
use super::health::{self, Admits};
use super::server::{self, Server};
use super::{Balance, ServerSettings, Timeouts, UpstreamSettings};
use crate::fault::Fault;

/// An upstream.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) settings: UpstreamSettings,
    pub(super) members: Vec<Member>,
    turn: AtomicU64,
    checks: Checks,
}

/// A server, and its share of the work.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) server: Arc<Server>,
    weight: u32,
}

/// Checks, which end with their upstream.
#[derive(Debug, Default)]
struct Checks(Vec<tokio::task::AbortHandle>);

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

/// What leads a request to its server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lead<'a> {
    /// Where the upstream is sticky.
    pub(super) key: Option<Key>,
    /// What the cookie says, where the upstream goes by one.
    pub(super) cookie: Option<&'a [u8]>,
}

impl Upstream {
    /// The upstream that these settings want. `known`: a server that is there already.
    pub(super) fn new(
        settings: UpstreamSettings,
        mut known: impl FnMut(&ServerSettings) -> Option<Arc<Server>>,
    ) -> Result<Self, Fault> {
        let mut make = |wanted: &ServerSettings| {
            let server = match known(wanted) {
                Some(server) => server,
                None => Arc::new(Server::new(wanted.clone(), settings.authorities.as_ref())?),
            };
            Ok(Member { server, weight: wanted.weight })
        };
        let members = settings.servers.iter().map(&mut make).collect::<Result<Vec<_>, Fault>>()?;
        Ok(Self { settings, members, turn: AtomicU64::new(0), checks: Checks::default() })
    }

    /// The same, whose servers are looked after from now on, and by nobody else: not before all that
    /// goes with it is there.
    pub(super) fn looked_after(mut self) -> Self {
        self.checks = Checks::start(&self.settings, &self.members);
        self
    }

    /// The server that gets a request, of those that have not been tried. One that is not well is
    /// taken only where there is no other: it may be well again. What finds that out is a request
    /// that has no server of its own, or whose own server this is.
    pub(super) fn choose(&self, lead: Lead<'_>, tried: &[Arc<Server>]) -> Option<&Arc<Server>> {
        if let [only] = &*self.members {
            return tried.is_empty().then_some(&only.server);
        }
        let untried = |one: &&Member| !tried.iter().any(|done| Arc::ptr_eq(done, &one.server));
        let now = Instant::now();
        let admits = |one: &Member, what| one.server.health.admits(|| now) == what;
        let untried = self.members.iter().filter(untried);
        let well = untried.clone().filter(|one| admits(one, Admits::All));
        let probed = untried.clone().filter(|one| tried.is_empty() && admits(one, Admits::Probe));
        if let Some(first) = probed.clone().next() {
            let own = self.own(lead, well.clone().chain(probed));
            let chosen = own.unwrap_or(first);
            if admits(chosen, Admits::Probe) {
                let Timeouts { connect, response, .. } = self.settings.timeouts;
                chosen.server.health.probe(now, connect + response);
            }
            return Some(&chosen.server);
        }
        self.best(lead, well).or_else(|| self.best(lead, untried)).map(|one| &one.server)
    }

    /// The server that a request belongs to, where it belongs to one of these.
    fn own<'s>(
        &self,
        lead: Lead<'_>,
        mut among: impl Iterator<Item = &'s Member> + Clone,
    ) -> Option<&'s Member> {
        if let Some(text) = lead.cookie {
            return among.find(|one| one.server.id.is(text));
        }
        let key = lead.key.filter(|_| self.settings.balance == Balance::Sticky)?;
        let belongs = |one: &Member| key.belongs(one.server.id, one.weight);
        among.max_by(|a, b| belongs(a).total_cmp(&belongs(b)))
    }

    fn best<'s>(
        &self,
        lead: Lead<'_>,
        mut among: impl Iterator<Item = &'s Member> + Clone,
    ) -> Option<&'s Member> {
        // Where there is nobody to choose, no turn is taken: else it would be the same one's again.
        among.clone().next()?;
        if let Some(own) = self.own(lead, among.clone()) {
            return Some(own);
        }
        match &self.settings.balance {
            Balance::LeastConnections => least(self.turn(), among),
            _ => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let index = in_turn(turn, among.clone().map(|one| one.weight));
                among.nth(index)
            }
        }
    }

    fn turn(&self) -> usize {
        usize::try_from(self.turn.fetch_add(1, Ordering::Relaxed)).unwrap_or_default()
    }
}

/// The one with the least to do for its weight; of several, another in each turn.
fn least<'s>(turn: usize, among: impl Iterator<Item = &'s Member> + Clone) -> Option<&'s Member> {
    let count = among.clone().count();
    let from = turn.checked_rem(count)?;
    let rotated = among.clone().skip(from).chain(among.take(from));
    rotated.min_by(|a, b| {
        let (load_a, load_b) = (a.server.load() as u64 + 1, b.server.load() as u64 + 1);
        let (weight_a, weight_b) = (a.weight.max(1), b.weight.max(1));
        (load_a * u64::from(weight_b)).cmp(&(load_b * u64::from(weight_a)))
    })
}

impl Checks {
    /// Needs a runtime; without one, as in a command that only looks, nothing is checked.
    fn start(settings: &UpstreamSettings, members: &[Member]) -> Self {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Self::default();
        };
        let keep_alive = settings.timeouts.keep_alive;
        let tidying = members.iter().map(|Member { server, .. }| {
            runtime.spawn(server::keep_tidy(Arc::downgrade(server), keep_alive)).abort_handle()
        });
        let mut tasks: Vec<_> = tidying.collect();
        for Member { server, .. } in members {
            match &settings.health {
                Some(check) => {
                    let checks = server.health.checks_begin();
                    let begun = health::Begun { checks, timeouts: settings.timeouts };
                    let watching = health::watch(Arc::downgrade(server), check.clone(), begun);
                    tasks.push(runtime.spawn(watching).abort_handle());
                }
                None => server.health.checks_end(),
            }
        }
        Self(tasks)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::plain_upstream;
    use crate::proxy::Scheme;

    fn upstream(balance: Balance) -> Upstream {
        let server = |n| {
            let host = format!("10.0.0.{n}");
            ServerSettings { scheme: Scheme::Http, host, port: 80, weight: 1 }
        };
        let plain = plain_upstream("it", server(1));
        let settings = UpstreamSettings { servers: vec![server(1), server(2)], balance, ..plain };
        Upstream::new(settings, |_| None).unwrap()
    }

    /// Lets the first server fail so that it is to be probed.
    fn fail(upstream: &Upstream) {
        let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let health = &upstream.members[0].server.health;
        for _ in 0..3 {
            health.failed(health.begin(), long_ago);
        }
        assert_eq!(health.admits(Instant::now), Admits::Probe);
    }

    fn is_first(upstream: &Upstream, lead: Lead<'_>) -> bool {
        let chosen = upstream.choose(lead, &[]).unwrap();
        Arc::ptr_eq(chosen, &upstream.members[0].server)
    }

    #[test]
    fn only_a_servers_own_sessions_find_out_whether_it_is_well_again() {
        let key = |n: u32| Lead { key: Some(Key::of(&n.to_le_bytes())), cookie: None };
        let before = upstream(Balance::Sticky);
        let firsts: Vec<bool> = (0..100).map(|n| is_first(&before, key(n))).collect();
        assert!(firsts.contains(&true) && firsts.contains(&false));
        for (n, first) in (0..).zip(firsts) {
            let upstream = upstream(Balance::Sticky);
            fail(&upstream);
            assert_eq!(is_first(&upstream, key(n)), first);
            assert!(!is_first(&upstream, key(n)) || !first, "one probe at a time");
        }
    }

    #[test]
    fn a_client_with_the_cookie_of_a_server_that_is_well_stays_there() {
        let upstream = upstream(Balance::Cookie("node".to_owned()));
        fail(&upstream);
        let ids = upstream.members.iter().map(|one| one.server.id.to_string());
        let [first, second] = ids.collect::<Vec<_>>().try_into().unwrap();
        let of = |id: &'static str| Lead { key: None, cookie: Some(id.as_bytes()) };
        for _ in 0..4 {
            assert!(!is_first(&upstream, of(String::leak(second.clone()))));
        }
        assert!(is_first(&upstream, Lead { key: None, cookie: None }), "a new client finds out");
        fail(&upstream);
        assert!(is_first(&upstream, of(String::leak(first))), "as its own do");
    }
}
