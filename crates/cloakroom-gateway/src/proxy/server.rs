//! One server of an upstream: its connections, how much it has to do, and whether it is well.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::uri::Authority;
use tokio::time::timeout;

use super::balance;
use super::health::Health;
use super::lane::Lane;
use super::stream::{Place, Streams};
use super::trust::{Authorities, Trust};
use super::wire::Wire;
use super::{Scheme, ServerSettings, Timeouts};
use crate::fault::Fault;

/// The most connections that wait for their next request.
const MOST_IDLE: usize = 1024;
/// How often connections are looked at that nobody uses.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// A server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) settings: ServerSettings,
    /// What a cookie calls it, and what its share of keys comes from.
    pub(super) id: balance::Id,
    /// Its own name, as a `Host`.
    pub(super) host: HeaderValue,
    pub(super) authority: Authority,
    pub(super) health: Health,
    pub(super) streams: Streams,
    /// Who vouches for it, where not the machine's authorities do.
    authorities: Option<Authorities>,
    trust: Option<Trust>,
    idle: Mutex<Vec<Lane>>,
    load: AtomicUsize,
}

/// A request that a server has to do with, for as long as this lives.
#[derive(Debug)]
pub(super) struct Load {
    server: Arc<Server>,
    place: Option<Place>,
}

impl Load {
    pub(super) fn new(server: &Arc<Server>) -> Self {
        server.load.fetch_add(1, Ordering::Relaxed);
        Self { server: Arc::clone(server), place: None }
    }

    /// The same, with its place on a shared connection.
    pub(super) fn with(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub(super) const fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.server.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    /// A server. Its weight is its upstream's affair.
    pub(super) fn new(
        settings: ServerSettings,
        authorities: Option<&Authorities>,
    ) -> Result<Self, Fault> {
        let authority = authority(&settings)?;
        let host = HeaderValue::try_from(authority.as_str())
            .map_err(|_| Fault::new(format!("no server can be called {authority}")))?;
        let trust = match settings.scheme {
            Scheme::Https => Some(Trust::of(authorities)?),
            Scheme::Http | Scheme::H2c => None,
        };
        Ok(Self {
            id: balance::Id::of(settings.scheme, &authority),
            host,
            authority,
            health: Health::default(),
            streams: Streams::default(),
            authorities: authorities.cloned(),
            trust,
            idle: Mutex::default(),
            load: AtomicUsize::new(0),
            settings,
        })
    }

    /// Whether these settings mean this one: where it is, and who vouches for it.
    pub(super) fn is(&self, wanted: &ServerSettings, authorities: Option<&Authorities>) -> bool {
        let ServerSettings { scheme, host, port, .. } = &self.settings;
        let same = (*scheme, host, *port) == (wanted.scheme, &wanted.host, wanted.port);
        same && (self.trust.is_none() || self.authorities.as_ref() == authorities)
    }

    /// How many requests it has to do with.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// A connection that waits for its next request, for no longer than that: the one that was used
    /// last, so that the others can end where there are too many.
    pub(super) fn take_idle(&self, keep_alive: Duration) -> Option<Lane> {
        loop {
            let mut lane = self.idle().pop()?;
            if lane.idle_since.elapsed() < keep_alive && lane.is_open() {
                return Some(lane);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn put_back(&self, mut lane: Lane) {
        lane.idle_since = Instant::now();
        let mut idle = self.idle();
        if idle.len() < MOST_IDLE {
            idle.push(lane);
        }
    }

    /// Opens a connection, by which nothing may be taken for no longer than of a body.
    pub(super) fn connect(
        &self,
        timeouts: &Timeouts,
    ) -> impl Future<Output = io::Result<Wire>> + Send + 'static {
        let (settings, trust) = (self.settings.clone(), self.trust.clone());
        let Timeouts { connect, body_idle, .. } = *timeouts;
        async move {
            let connecting = Wire::connect(&settings, trust.as_ref(), body_idle);
            timeout(connect, connecting).await.unwrap_or_else(|_| {
                let late = format!("no connection within {connect:?}");
                Err(io::Error::new(io::ErrorKind::TimedOut, late))
            })
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends connections that nobody has used for that long, and those that the server has closed.
    fn tidy(&self, keep_alive: Duration) {
        self.idle().retain_mut(|lane| lane.idle_since.elapsed() < keep_alive && lane.is_open());
        self.streams.tidy(keep_alive);
    }
}

/// Looks after a server's idle connections for as long as there is the server.
pub(super) async fn keep_tidy(server: Weak<Server>, keep_alive: Duration) {
    loop {
        tokio::time::sleep(TIDY_EVERY.min(keep_alive)).await;
        let Some(server) = server.upgrade() else {
            return;
        };
        server.tidy(keep_alive);
    }
}

fn authority(settings: &ServerSettings) -> Result<Authority, Fault> {
    let ServerSettings { scheme, host, port, .. } = settings;
    let host = match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host.clone(),
    };
    let text = match (scheme, port) {
        (Scheme::Http | Scheme::H2c, 80) | (Scheme::Https, 443) => host,
        _ => format!("{host}:{port}"),
    };
    let fault = |_| Fault::new(format!("no server can be called {text}"));
    Authority::try_from(text.as_str()).map_err(fault)
}
