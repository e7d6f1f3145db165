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
    pub(super) servers: Vec<Arc<Server>>,
    turn: AtomicU64,
    _checks: Checks,
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
    /// The upstream that these settings want, with servers that `before` has.
    pub(super) fn new(settings: UpstreamSettings, before: Option<&Self>) -> Result<Self, Fault> {
        let known = |wanted: &ServerSettings| {
            let servers = before.into_iter().flat_map(|before| &before.servers);
            servers.into_iter().find(|server| server.settings == *wanted).map(Arc::clone)
        };
        let make = |wanted: &ServerSettings| match known(wanted) {
            Some(server) => Ok(server),
            None => Server::new(wanted.clone()).map(Arc::new),
        };
        let servers = settings.servers.iter().map(make).collect::<Result<Vec<_>, _>>()?;
        let checks = Checks::start(&settings, &servers);
        Ok(Self { settings, servers, turn: AtomicU64::new(0), _checks: checks })
    }

    /// The server that gets a request, of those that have not been tried. One that is not well is
    /// taken only where there is no other: it may be well again.
    pub(super) fn choose(&self, lead: Lead<'_>, tried: &[Arc<Server>]) -> Option<&Arc<Server>> {
        if let [only] = &*self.servers {
            return tried.is_empty().then_some(only);
        }
        let untried = |server: &&Arc<Server>| !tried.iter().any(|done| Arc::ptr_eq(done, server));
        let now = Instant::now();
        let admits = |server: &&Arc<Server>| server.health.admits(|| now);
        let probed = self.servers.iter().filter(untried).find(|s| admits(s) == Admits::Probe);
        if let Some(server) = probed.filter(|_| tried.is_empty()) {
            let Timeouts { connect, response, .. } = self.settings.timeouts;
            server.health.probe(now, connect + response);
            return Some(server);
        }
        let well = self.servers.iter().filter(untried).filter(|s| admits(s) == Admits::All);
        self.best(lead, well).or_else(|| self.best(lead, self.servers.iter().filter(untried)))
    }

    fn best<'s>(
        &self,
        lead: Lead<'_>,
        mut among: impl Iterator<Item = &'s Arc<Server>> + Clone,
    ) -> Option<&'s Arc<Server>> {
        // Where there is nobody to choose, no turn is taken: else it would be the same one's again.
        among.clone().next()?;
        if let Some(text) = lead.cookie
            && let Some(server) = among.clone().find(|server| server.id.is(text))
        {
            return Some(server);
        }
        match (&self.settings.balance, lead.key) {
            (Balance::Sticky, Some(key)) => {
                let belongs = |s: &Arc<Server>| key.belongs(s.id, s.settings.weight);
                among.max_by(|a, b| belongs(a).total_cmp(&belongs(b)))
            }
            (Balance::LeastConnections, _) => least(self.turn(), among),
            _ => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let index = in_turn(turn, among.clone().map(|server| server.settings.weight));
                among.nth(index)
            }
        }
    }

    fn turn(&self) -> usize {
        usize::try_from(self.turn.fetch_add(1, Ordering::Relaxed)).unwrap_or_default()
    }
}

/// The one with the least to do for its weight; of several, another in each turn.
fn least<'s>(
    turn: usize,
    among: impl Iterator<Item = &'s Arc<Server>> + Clone,
) -> Option<&'s Arc<Server>> {
    let count = among.clone().count();
    let from = turn.checked_rem(count)?;
    let rotated = among.clone().skip(from).chain(among.take(from));
    rotated.min_by(|a, b| {
        let (load_a, load_b) = (a.load() as u64 + 1, b.load() as u64 + 1);
        let (weight_a, weight_b) = (a.settings.weight.max(1), b.settings.weight.max(1));
        (load_a * u64::from(weight_b)).cmp(&(load_b * u64::from(weight_a)))
    })
}

impl Checks {
    /// Needs a runtime; without one, as in a command that only looks, nothing is checked.
    fn start(settings: &UpstreamSettings, servers: &[Arc<Server>]) -> Self {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return Self::default();
        };
        let keep_alive = settings.timeouts.keep_alive;
        let tidying = servers.iter().map(|server| {
            runtime.spawn(server::keep_tidy(Arc::downgrade(server), keep_alive)).abort_handle()
        });
        let mut tasks: Vec<_> = tidying.collect();
        for server in servers {
            match &settings.health {
                Some(check) => {
                    let checks = server.health.checks_begin();
                    let watching = health::watch(Arc::downgrade(server), check.clone(), checks);
                    tasks.push(runtime.spawn(watching).abort_handle());
                }
                None => server.health.checks_end(),
            }
        }
        Self(tasks)
    }
}
