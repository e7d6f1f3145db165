//! What a verified token says.

use std::fmt;

use cloakroom_core::{Key, Kind, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::error::Refused;
use crate::strict::Object;

/// The claims that have a meaning here; every other name is the application's.
pub(crate) const OURS: [&str; 10] =
    ["iss", "sub", "sid", "aud", "iat", "nbf", "exp", "jti", "roles", "anonymous_id"];

/// Who somebody is, as a [`Verifier`](crate::Verifier) found it signed. There is no other way to
/// have one.
///
/// `Debug` prints no value of the application's own claims.
#[derive(Clone, PartialEq)]
pub struct Verified {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    id: String,
    principal: Option<String>,
    anonymous_id: Option<String>,
    session: Option<Key>,
    roles: Vec<String>,
    pub(crate) issued_at: Timestamp,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    /// The application's own claims.
    extra: Object,
}

/// A claim is there, and is not of the type that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the claim is not of this type")]
pub struct WrongType;

impl Verified {
    /// Reads a token's claims. Says nothing of whether they are true, or true now.
    pub(crate) fn read(mut claims: Object) -> Result<Self, Refused> {
        let read = Self {
            issuer: text(&mut claims, "iss")?.ok_or(Refused::Claim("iss"))?,
            audience: text(&mut claims, "aud")?.ok_or(Refused::Claim("aud"))?,
            id: text(&mut claims, "jti")?.ok_or(Refused::Claim("jti"))?,
            principal: text(&mut claims, "sub")?,
            anonymous_id: text(&mut claims, "anonymous_id")?,
            session: session(&mut claims)?,
            roles: roles(&mut claims)?,
            issued_at: instant(&mut claims, "iat")?.ok_or(Refused::Claim("iat"))?,
            not_before: instant(&mut claims, "nbf")?,
            expires_at: instant(&mut claims, "exp")?.ok_or(Refused::Claim("exp"))?,
            extra: claims,
        };
        if read.principal.is_none() && read.anonymous_id.is_none() {
            return Err(Refused::Claim("sub"));
        }
        if read.expires_at <= read.issued_at {
            return Err(Refused::Claim("exp"));
        }
        Ok(read)
    }

    /// Who is signed in (`sub`); `None` for a visitor.
    pub fn principal(&self) -> Option<&str> {
        self.principal.as_deref()
    }

    /// What a visitor is known by (`anonymous_id`), or was before signing in.
    pub fn anonymous_id(&self) -> Option<&str> {
        self.anonymous_id.as_deref()
    }

    /// The session that this was signed for (`sid`). It may have ended since.
    pub const fn session(&self) -> Option<Key> {
        self.session
    }

    /// What the principal may be (`roles`), in the signer's order.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// Whether `role` is among the [`roles`](Self::roles).
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|other| other == role)
    }

    /// Who says so (`iss`).
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// To whom (`aud`).
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// What names this token (`jti`), and no other of its issuer's. To admit it once, remember
    /// this until [`expires_at`](Self::expires_at) and a verifier's leeway have passed.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it was signed (`iat`), in whole seconds.
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// From when on it is not admitted (`exp`), in whole seconds.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// One of the application's own claims; `None` for those that have a method here.
    pub fn claim(&self, name: &str) -> Option<&Value> {
        self.extra.get(name)
    }

    /// One of the application's own claims as a `T`; `None` where it is not there.
    pub fn claim_as<'a, T: Deserialize<'a>>(&'a self, name: &str) -> Result<Option<T>, WrongType> {
        self.claim(name).map(T::deserialize).transpose().map_err(|_| WrongType)
    }

    /// The names of the application's own claims.
    pub fn claim_names(&self) -> impl Iterator<Item = &str> {
        self.extra.keys().map(String::as_str)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("id", &self.id)
            .field("principal", &self.principal)
            .field("session", &self.session)
            .field("roles", &self.roles)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("claims", &self.claim_names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Takes a claim that is a text. An empty one says nothing, and would be equal to another's
/// forgotten setting.
fn text(claims: &mut Object, name: &'static str) -> Result<Option<String>, Refused> {
    match claims.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(Refused::Claim(name)),
    }
}

/// Takes a claim that is a time: whole seconds since the epoch, as far as a [`Timestamp`] goes.
fn instant(claims: &mut Object, name: &'static str) -> Result<Option<Timestamp>, Refused> {
    let Some(value) = claims.remove(name) else { return Ok(None) };
    let millis = value.as_u64().and_then(|seconds| seconds.checked_mul(1000));
    match millis.filter(|millis| *millis <= Timestamp::MAX.millis()) {
        Some(millis) => Ok(Some(Timestamp::from_millis(millis))),
        None => Err(Refused::Claim(name)),
    }
}

fn session(claims: &mut Object) -> Result<Option<Key>, Refused> {
    let Some(text) = text(claims, "sid")? else { return Ok(None) };
    let key = text.parse::<Key>().ok().filter(|key| key.kind() == Kind::Session);
    key.map(Some).ok_or(Refused::Claim("sid"))
}

fn roles(claims: &mut Object) -> Result<Vec<String>, Refused> {
    let wrong = Refused::Claim("roles");
    match claims.remove("roles") {
        None => Ok(Vec::new()),
        Some(Value::Array(roles)) => {
            let role = |role| if let Value::String(role) = role { Ok(role) } else { Err(wrong) };
            roles.into_iter().map(role).collect()
        }
        Some(_) => Err(wrong),
    }
}
