//! Makes the headers that tell a service who asks.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use cloakroom::jwt::{Identity, Signer};
use cloakroom::{Clock, SystemClock, Timestamp};
use http::{HeaderName, HeaderValue};
use quick_cache::sync::Cache;
use tokio::sync::Mutex;

use super::keys::{Directory, Keys};
use super::timetable::Timetable;
use super::{IdentitySettings, spelling};
use crate::fault::Fault;
use crate::visitor::Visitor;

/// How many assertions are remembered; one is about a kilobyte with what it was signed for.
const MOST_REMEMBERED: usize = 10_000;
/// For how long a look at the keys' directory is new enough for whoever fetches them.
const FRESH: Duration = Duration::from_secs(2);

/// Tells services who asks. Clones share keys and what was signed a moment ago.
#[derive(Clone)]
pub(crate) struct Teller {
    shared: Arc<Shared>,
}

struct Shared {
    settings: IdentitySettings,
    directory: Directory,
    clock: Arc<dyn Clock>,
    keys: ArcSwap<Keys>,
    /// When the directory was looked at last.
    looked: Mutex<Timestamp>,
    remembered: Cache<u64, Arc<Signed>>,
    hasher: RandomState,
}

/// An assertion, and what it was signed for.
struct Signed {
    visitor: Visitor,
    audience: String,
    /// The key's name.
    kid: String,
    at: Timestamp,
    assertion: HeaderValue,
}

impl Teller {
    /// Reads the keys, or makes them.
    pub(crate) fn new(settings: IdentitySettings) -> Result<Self, Fault> {
        Self::with_clock(settings, Arc::new(SystemClock))
    }

    fn with_clock(settings: IdentitySettings, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let timetable =
            Timetable { rotate_every: settings.rotate_every, lifetime: settings.lifetime };
        let (path, issuer) = (settings.keys.clone(), settings.issuer.clone());
        let directory = Directory { path, timetable, issuer };
        let now = clock.now();
        let keys = directory.read(None, now)?;
        let keys = keys.ok_or_else(|| Fault::new("there are no signing keys"))?;
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                directory,
                clock,
                keys: ArcSwap::from_pointee(keys),
                looked: Mutex::new(now),
                remembered: Cache::new(MOST_REMEMBERED),
                hasher: RandomState::new(),
            }),
        })
    }

    /// The headers for a service: none of a visitor of whom nothing is known. `audience`: where it
    /// wants a signed assertion, too.
    pub(crate) fn tell(
        &self,
        visitor: &Visitor,
        audience: Option<&str>,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let names = &self.shared.settings.names;
        let user = visitor.user.as_ref();
        let session = user.and_then(|user| user.session);
        let session = session.and_then(|key| spelling::name(&key.to_string()));
        let told = [
            (&names.user, user.and_then(|user| spelling::name(&user.id))),
            (&names.roles, user.and_then(|user| spelling::list(&user.roles))),
            (&names.session, session),
            (&names.anonymous, visitor.anonymous.as_deref().and_then(spelling::name)),
            (&names.assertion, audience.and_then(|audience| self.assertion(visitor, audience))),
        ];
        let mut headers = Vec::with_capacity(told.len());
        headers.extend(told.into_iter().filter_map(|(name, value)| Some((name.clone(), value?))));
        headers
    }

    /// The public keys, as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> String {
        let shared = &self.shared;
        shared.keys.load().jwks(shared.clock.now()).unwrap_or_default()
    }

    /// How long verifiers may keep the public keys.
    pub(super) fn max_age(&self) -> Duration {
        self.shared.directory.timetable.max_age()
    }

    /// Keeps up with the keys' directory until it is dropped: makes keys in time, and takes up what
    /// other nodes have made.
    pub(crate) async fn keep_up(self) {
        loop {
            tokio::time::sleep(self.shared.directory.timetable.pause()).await;
            self.look_again().await;
        }
    }

    /// Looks at the keys' directory, unless somebody has just done so.
    pub(super) async fn look_again(&self) {
        let mut looked = self.shared.looked.lock().await;
        let now = self.shared.clock.now();
        if now.since(*looked) < FRESH && *looked <= now {
            return;
        }
        *looked = now;
        let shared = Arc::clone(&self.shared);
        // What was read stays where it cannot be read again.
        let read = tokio::task::spawn_blocking(move || {
            match shared.directory.read(Some(&shared.keys.load()), now) {
                Ok(Some(keys)) => shared.keys.store(Arc::new(keys)),
                Ok(None) => {}
                Err(fault) => tracing::warn!(%fault, "the signing keys stay as they were"),
            }
        });
        if read.await.is_err() {
            tracing::error!("the look at the signing keys has failed");
        }
    }

    /// The assertion of who asks; `None` of whom nothing is known, and where none can be made.
    fn assertion(&self, visitor: &Visitor, audience: &str) -> Option<HeaderValue> {
        let shared = &self.shared;
        let now = shared.clock.now();
        let keys = shared.keys.load();
        let signer = keys.signing(now)?;
        let place = shared.place(visitor, audience);
        let kid = signer.public().kid().to_owned();
        let fresh = shared.settings.lifetime / 2;
        if let Some(signed) = shared.remembered.get(&place)
            && signed.is_for(visitor, audience, &kid)
            && signed.at <= now
            && now.since(signed.at) < fresh
        {
            return Some(signed.assertion.clone());
        }
        let identity = identity(visitor)?.audience(audience).lifetime(shared.settings.lifetime);
        let assertion = sign(signer, &identity, now)?;
        let signed = Signed {
            visitor: visitor.clone(),
            audience: audience.to_owned(),
            kid,
            at: now,
            assertion: assertion.clone(),
        };
        shared.remembered.insert(place, Arc::new(signed));
        Some(assertion)
    }
}

impl Shared {
    /// Where an assertion is remembered. Two that share a place push each other out; which one it is
    /// says what it was signed for.
    fn place(&self, visitor: &Visitor, audience: &str) -> u64 {
        let user = visitor.user.as_ref();
        let whose = user.map(|user| (user.id.as_str(), user.session));
        self.hasher.hash_one((whose, visitor.anonymous.as_deref(), audience))
    }
}

impl Signed {
    fn is_for(&self, visitor: &Visitor, audience: &str, kid: &str) -> bool {
        self.visitor == *visitor && self.audience == audience && self.kid == kid
    }
}

/// What is to be signed of a visitor; `None` where nothing is known of them.
fn identity(visitor: &Visitor) -> Option<Identity> {
    let anonymous = visitor.anonymous.as_deref();
    let Some(user) = &visitor.user else { return anonymous.map(Identity::visitor) };
    let identity = Identity::new(&user.id).roles(user.roles.iter().map(String::as_str));
    let identity = match user.session {
        Some(key) => identity.session(key),
        None => identity,
    };
    Some(match anonymous {
        Some(id) => identity.anonymous_id(id),
        None => identity,
    })
}

fn sign(signer: &Signer, identity: &Identity, now: Timestamp) -> Option<HeaderValue> {
    match signer.sign(identity, now) {
        Ok(token) => {
            let mut value = HeaderValue::try_from(token).ok()?;
            value.set_sensitive(true);
            Some(value)
        }
        Err(error) => {
            // The service then refuses whoever asks: it is told less, never more.
            tracing::error!(%error, "an assertion could not be signed");
            None
        }
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
