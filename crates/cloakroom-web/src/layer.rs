//! The layer, and everything about it that can be set.

use std::fmt;
use std::sync::Arc;

use cloakroom_core::{Client, Sessions};
use tower_layer::Layer;

use crate::client::{Network, TrustedProxies};
use crate::transport::Tokens;
use crate::{Head, Refusal, Session, SessionService, Transport};

/// Gives every request of a service its session.
///
/// The service may answer with any body of [`Bytes`](bytes::Bytes); the layer makes a
/// [`ResponseBody`](crate::ResponseBody) of it.
///
/// ```
/// # use cloakroom_core::{MemoryStore, Sessions};
/// use cloakroom_web::{CookieConfig, SessionLayer, TokioTimer, Transport};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sessions = Sessions::builder(MemoryStore::new(), TokioTimer).build()?;
/// let cookie = CookieConfig::new("shop").persistent(true);
/// let layer = SessionLayer::new(sessions)
///     .transport(Transport::cookie(cookie)?)
///     .trusted_proxies(["10.0.0.0/8".parse()?])
///     .passive_when(|head| head.uri.path() == "/poll");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionLayer {
    setting: Arc<Setting>,
}

type Passive = dyn Fn(&Head<'_>) -> bool + Send + Sync;

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) sessions: Sessions,
    pub(crate) transport: Transport,
    pub(crate) proxies: TrustedProxies,
    record_client: bool,
    passive: Option<Arc<Passive>>,
}

/// What a request brings of its session.
pub(crate) struct Brought {
    tokens: Tokens,
    client: Client,
}

impl SessionLayer {
    /// Sessions in the default cookie, with the client's device and address kept at login.
    pub fn new(sessions: Sessions) -> Self {
        let setting = Setting {
            sessions,
            transport: Transport::default(),
            proxies: TrustedProxies::default(),
            record_client: true,
            passive: None,
        };
        Self { setting: Arc::new(setting) }
    }

    fn with(mut self, set: impl FnOnce(&mut Setting)) -> Self {
        set(Arc::make_mut(&mut self.setting));
        self
    }

    /// Sets how tokens travel.
    pub fn transport(self, transport: Transport) -> Self {
        self.with(|setting| setting.transport = transport)
    }

    /// Believes these networks' `X-Forwarded-For` and `X-Forwarded-Proto`. By default nobody's.
    pub fn trusted_proxies(self, networks: impl IntoIterator<Item = Network>) -> Self {
        let networks = networks.into_iter().collect();
        self.with(|setting| setting.proxies = TrustedProxies(networks))
    }

    /// Sets whether a login keeps its client's device and address, for the user's list of sessions.
    pub fn record_client(self, record: bool) -> Self {
        self.with(|setting| setting.record_client = record)
    }

    /// Sets which requests are no use of their session, such as polls that a page sends by itself:
    /// they do not keep it from going idle.
    pub fn passive_when<F>(self, passive: F) -> Self
    where
        F: Fn(&Head<'_>) -> bool + Send + Sync + 'static,
    {
        self.with(|setting| setting.passive = Some(Arc::new(passive)))
    }
}

impl Setting {
    /// What a request brings of its session.
    pub(crate) fn brought(&self, head: Head<'_>) -> Brought {
        // One more than may be: so many are refused, and none is hidden.
        let most = self.sessions.policy().tokens_tried.saturating_add(1);
        let (tokens, seen) = self.transport.brought(head.headers, most);
        let mut client = match self.record_client {
            true => self.proxies.client(head),
            false => Client::default(),
        };
        client.seen = seen;
        Brought { tokens, client }
    }

    /// Opens the session that a request's tokens lead to, or an empty one, where that needs no call
    /// to the store.
    pub(crate) fn open_known(&self, head: Head<'_>, brought: &mut Brought) -> Option<Session> {
        let Brought { tokens, client } = brought;
        let session = self.sessions.open_known(tokens, client)?;
        Some(self.prepared(session, head))
    }

    /// Opens it in any case.
    pub(crate) async fn open(&self, head: Head<'_>, brought: Brought) -> Result<Session, Refusal> {
        #[cfg(feature = "sealed")]
        if self.sessions.is_sealed() {
            let most = self.sessions.policy().tokens_tried.saturating_add(1);
            let (texts, carrier) = self.transport.sealed(head.headers, most);
            let opening = self.sessions.open_sealed(&texts, &carrier, brought.client);
            return Ok(self.prepared(opening.await?, head));
        }
        let session = self.sessions.open(&brought.tokens, brought.client).await?;
        Ok(self.prepared(session, head))
    }

    /// Tells a session what its request may do.
    fn prepared(&self, session: cloakroom_core::Session, head: Head<'_>) -> Session {
        if self.passive.as_ref().is_some_and(|passive| passive(&head)) {
            session.set_passive();
        }
        if self.sessions.policy().rotate_every.is_some() && !head.may_rotate() {
            session.forbid_rotation();
        }
        session.into()
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("sessions", &self.sessions)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.setting))
    }
}
