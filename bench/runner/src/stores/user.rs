//! What a request does with its session, whatever keeps it.

use std::io;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use bench_common::{CSRF, Line, NAME, USER_ID, cart, roles};
use cloakroom::store::NearOptions;
use cloakroom::{Client, Policy, Reply, Sessions, Slot, Store, StoreOptions, Token};

const USER: Slot<u64> = Slot::new("user_id");
const CALLED: Slot<String> = Slot::new("name");
const ROLES: Slot<Vec<String>> = Slot::new("roles");
const CART: Slot<Vec<Line>> = Slot::new("cart");
const FORM_TOKEN: Slot<String> = Slot::new("csrf_token");
const STEP: Slot<u64> = Slot::new("step");
/// No use is written down while it is measured.
const TOUCH_AFTER: Duration = Duration::from_secs(60 * 60);

/// A node's sessions.
#[derive(Clone)]
pub(crate) struct User {
    sessions: Sessions,
}

impl User {
    /// A node on the store at `url`, with a cache where the store has a feed and it is asked for.
    ///
    /// # Errors
    ///
    /// Where the store cannot be used.
    pub(crate) async fn connect(url: &str, cached: bool) -> io::Result<(Self, bool)> {
        let cache = cached.then(NearOptions::default);
        let options = StoreOptions { cache, ..StoreOptions::default() };
        let store = cloakroom::connect_with(url, &options).await.map_err(io::Error::other)?;
        let has_cache = cached && store.fence().is_some();
        Ok((Self::over(store)?, has_cache))
    }

    /// A node on a store.
    ///
    /// # Errors
    ///
    /// Never, as long as the policy is a good one.
    pub(crate) fn over(store: Arc<dyn Store>) -> io::Result<Self> {
        let idle = Some(Duration::from_secs(2 * 60 * 60));
        let policy = Policy { idle, touch_after: Some(TOUCH_AFTER), ..Policy::default() };
        let sessions = cloakroom::sessions(store).policy(policy).build();
        Ok(Self { sessions: sessions.map_err(io::Error::other)? })
    }

    /// Stores the sample: about 500 bytes.
    ///
    /// # Errors
    ///
    /// Where it is not stored.
    pub(crate) async fn create(&self) -> io::Result<Token> {
        let filled = async {
            let session = self.sessions.open(&[], Client::default()).await?;
            session.set(USER, &USER_ID)?;
            session.set(CALLED, &NAME.to_owned())?;
            session.set(ROLES, &roles())?;
            session.set(CART, &cart())?;
            session.set(FORM_TOKEN, &CSRF.to_owned())?;
            self.sessions.finish(&session).await
        };
        match filled.await.map_err(io::Error::other)? {
            Some(Reply::Send { token, .. }) => Ok(token),
            _ => Err(io::Error::other("a new session has no token")),
        }
    }

    /// Reads one attribute.
    ///
    /// # Errors
    ///
    /// Where the session is not there.
    pub(crate) async fn read(&self, token: &Token) -> io::Result<()> {
        let opened = self.sessions.open(slice::from_ref(token), Client::default()).await;
        let session = opened.map_err(io::Error::other)?;
        let name = session.get(CALLED).map_err(io::Error::other)?;
        name.ok_or_else(|| io::Error::other("a session that was stored is not there"))?;
        self.sessions.finish(&session).await.map(drop).map_err(io::Error::other)
    }

    /// Writes one attribute.
    ///
    /// # Errors
    ///
    /// Where it is not acknowledged.
    pub(crate) async fn write(&self, token: &Token, step: u64) -> io::Result<()> {
        let opened = self.sessions.open(slice::from_ref(token), Client::default()).await;
        let session = opened.map_err(io::Error::other)?;
        if session.is_new() {
            return Err(io::Error::other("a session that is to be written is not there"));
        }
        session.set(STEP, &step).map_err(io::Error::other)?;
        self.sessions.finish(&session).await.map(drop).map_err(io::Error::other)
    }

    /// What was written last.
    ///
    /// # Errors
    ///
    /// Where the store does not answer.
    pub(crate) async fn step(&self, token: &Token) -> io::Result<u64> {
        let opened = self.sessions.open(slice::from_ref(token), Client::default()).await;
        let step = opened.map_err(io::Error::other)?.get(STEP).map_err(io::Error::other)?;
        Ok(step.unwrap_or_default())
    }
}
