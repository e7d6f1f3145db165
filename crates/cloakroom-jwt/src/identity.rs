//! What is to be said of somebody, before it is signed.

use std::fmt;
use std::time::Duration;

use cloakroom_core::{Key, Kind, Timestamp};
use serde_json::{Map, Value};

use crate::LIFETIME;
use crate::claims::OURS;
use crate::error::Error;

/// Who somebody is: to be signed for one audience, and for a short time.
///
/// ```
/// # use cloakroom_core::{Key, Kind};
/// # use cloakroom_jwt::Identity;
/// # use std::time::Duration;
/// # let key = Key::random(Kind::Session);
/// let identity = Identity::new("alice")
///     .session(key)
///     .audience("orders")
///     .lifetime(Duration::from_secs(30))
///     .roles(["clerk"])
///     .claim("tenant", 7);
/// ```
///
/// `Debug` prints no value of the application's own claims.
#[derive(Clone, PartialEq)]
pub struct Identity {
    principal: Option<String>,
    anonymous_id: Option<String>,
    session: Option<Key>,
    audience: Option<String>,
    roles: Vec<String>,
    lifetime: Duration,
    extra: Map<String, Value>,
}

/// What a signer adds.
pub(crate) struct Stamp<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) id: String,
    pub(crate) now: Timestamp,
    pub(crate) longest_lifetime: Duration,
}

impl Identity {
    /// Somebody who is signed in as `principal`.
    pub fn new(principal: impl Into<String>) -> Self {
        Self { principal: Some(principal.into()), ..Self::nobody() }
    }

    /// A visitor who is not signed in, and is known by `anonymous_id`.
    ///
    /// The token has no `sub`, so that a service that knows no visitors does not take one for a
    /// user.
    pub fn visitor(anonymous_id: impl Into<String>) -> Self {
        Self::nobody().anonymous_id(anonymous_id)
    }

    fn nobody() -> Self {
        Self {
            principal: None,
            anonymous_id: None,
            session: None,
            audience: None,
            roles: Vec::new(),
            lifetime: LIFETIME,
            extra: Map::new(),
        }
    }

    /// Names the session (`sid`): its key, which is no secret.
    pub fn session(self, key: Key) -> Self {
        Self { session: Some(key), ..self }
    }

    /// Names the service that this is for (`aud`). Nothing is signed without one.
    pub fn audience(self, audience: impl Into<String>) -> Self {
        Self { audience: Some(audience.into()), ..self }
    }

    /// For how long it is admitted: [`LIFETIME`] unless said otherwise, in whole seconds, rounded
    /// up.
    pub fn lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// What the principal may be (`roles`), in place of what was said before.
    pub fn roles<R: Into<String>>(self, roles: impl IntoIterator<Item = R>) -> Self {
        Self { roles: roles.into_iter().map(Into::into).collect(), ..self }
    }

    /// What a visitor is known by, or was before signing in (`anonymous_id`).
    pub fn anonymous_id(self, id: impl Into<String>) -> Self {
        Self { anonymous_id: Some(id.into()), ..self }
    }

    /// Adds a claim of the application's own. Nothing is signed where its name is one that has a
    /// meaning here.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }

    /// The token's content, as JSON.
    pub(crate) fn claims(&self, stamp: Stamp<'_>) -> Result<String, Error> {
        self.refuse_unsignable(&stamp)?;
        let mut claims = self.extra.clone();
        let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        let now = stamp.now.millis() / 1000;
        say("iss", stamp.issuer.into());
        say("aud", self.audience.as_deref().into());
        say("jti", stamp.id.into());
        say("iat", now.into());
        say("nbf", now.into());
        say("exp", now.saturating_add(whole_seconds(self.lifetime)).into());
        if let Some(principal) = &self.principal {
            say("sub", principal.as_str().into());
        }
        if let Some(id) = &self.anonymous_id {
            say("anonymous_id", id.as_str().into());
        }
        if let Some(key) = self.session {
            say("sid", key.to_string().into());
        }
        if !self.roles.is_empty() {
            say("roles", self.roles.clone().into());
        }
        Ok(Value::Object(claims).to_string())
    }

    /// Fails with the first thing that a verifier would refuse.
    fn refuse_unsignable(&self, stamp: &Stamp<'_>) -> Result<(), Error> {
        let empty = |text: &Option<String>| text.as_deref() == Some("");
        let longest = whole_seconds(stamp.longest_lifetime);
        let faults = [
            (stamp.issuer.is_empty(), "the signer has no issuer"),
            (self.audience.is_none() || empty(&self.audience), "it has no audience"),
            (empty(&self.principal), "its principal is empty"),
            (empty(&self.anonymous_id), "its anonymous id is empty"),
            (self.session.is_some_and(|key| key.kind() != Kind::Session), "it is of no session"),
            (self.lifetime.is_zero(), "it has no lifetime"),
            (whole_seconds(self.lifetime) > longest, "it lives for longer than the signer allows"),
            (
                self.extra.keys().any(|name| OURS.contains(&name.as_str())),
                "one of its own claims has a name that has a meaning already",
            ),
        ];
        match faults.into_iter().find(|(is_there, _)| *is_there) {
            Some((_, fault)) => Err(Error::Unsignable(fault)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("principal", &self.principal)
            .field("session", &self.session)
            .field("audience", &self.audience)
            .field("roles", &self.roles)
            .field("lifetime", &self.lifetime)
            .field("claims", &self.extra.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Rounded up, for a token counts in seconds.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}
