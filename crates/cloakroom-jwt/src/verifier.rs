//! Decides whether a token is admitted.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cloakroom_core::Timestamp;
use serde_json::Value;

use crate::claims::Verified;
use crate::error::Refused;
use crate::identity::whole_seconds;
use crate::jwks::KeySet;
use crate::public::PublicKey;
use crate::strict::{self, Object};
use crate::{LEEWAY, LONGEST_LIFETIME, LONGEST_TOKEN, MOST_LEEWAY, TYPE};

/// What a header may not have: extensions that have to be understood (`crit`, and `b64`, the one
/// that there is), keys that come with the token, and content that is no claims. Any other name
/// that is not known is passed over, as RFC 7515 (section 4) has it.
const NOT_ADMITTED: [&str; 9] = ["crit", "b64", "jwk", "jku", "x5c", "x5u", "cty", "enc", "zip"];

/// Admits what one issuer has signed for one audience. Shared by reference between threads; its
/// keys can be replaced while it verifies.
#[derive(Debug)]
pub struct Verifier {
    issuer: String,
    audience: String,
    token_type: String,
    leeway: Duration,
    longest_lifetime: Duration,
    keys: RwLock<Arc<KeySet>>,
}

impl Verifier {
    /// Admits what `issuer` has signed for `audience` with one of `keys`. Both are compared
    /// exactly, as texts.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, keys: KeySet) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            token_type: TYPE.to_owned(),
            leeway: LEEWAY,
            longest_lifetime: LONGEST_LIFETIME,
            keys: RwLock::new(Arc::new(keys)),
        }
    }

    /// Admits tokens of another type than [`TYPE`], and only those.
    pub fn token_type(self, token_type: impl Into<String>) -> Self {
        Self { token_type: token_type.into(), ..self }
    }

    /// Allows for clocks that differ by `leeway` instead of [`LEEWAY`], and by [`MOST_LEEWAY`] at
    /// most: more is cut to that.
    pub fn leeway(self, leeway: Duration) -> Self {
        Self { leeway: leeway.min(MOST_LEEWAY), ..self }
    }

    /// Admits tokens that were made to live for `limit` instead of [`LONGEST_LIFETIME`], in whole
    /// seconds, rounded up as a signer does.
    pub fn longest_lifetime(self, limit: Duration) -> Self {
        Self { longest_lifetime: limit, ..self }
    }

    /// Verifies with `keys` from the next token on, and with no others.
    pub fn replace(&self, keys: KeySet) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Says who somebody is, or why that is not known. Nothing of a token's content is looked at
    /// before its signature was found right.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, Refused> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refused::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refused::Malformed)?;
        if claims.contains('.') {
            return Err(Refused::Malformed);
        }
        let key = self.key(&json(header)?)?;
        let signature = strict::decode(signature).ok_or(Refused::Malformed)?;
        if !key.verifies(signed.as_bytes(), &signature) {
            return Err(Refused::Signature);
        }
        let verified = Verified::read(json(claims)?)?;
        self.admit(&verified, now)?;
        Ok(verified)
    }

    /// The key that a header names, where the header is one of ours.
    fn key(&self, header: &Object) -> Result<PublicKey, Refused> {
        if let Some(name) = NOT_ADMITTED.into_iter().find(|name| header.contains_key(*name)) {
            return Err(Refused::Header(name));
        }
        let text = |name| header.get(name).and_then(Value::as_str);
        if text("typ") != Some(&self.token_type) {
            return Err(Refused::Type);
        }
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        let key = text("kid").and_then(|kid| keys.get(kid)).ok_or(Refused::UnknownKey)?;
        match text("alg") {
            Some(name) if key.algorithm().is_called(name) => Ok(key.clone()),
            _ => Err(Refused::Algorithm),
        }
    }

    /// Whether what is signed is for us, and for now.
    fn admit(&self, token: &Verified, now: Timestamp) -> Result<(), Refused> {
        if token.issuer != self.issuer {
            return Err(Refused::Issuer);
        }
        if token.audience != self.audience {
            return Err(Refused::Audience);
        }
        let longest = Duration::from_secs(whole_seconds(self.longest_lifetime));
        if token.expires_at.since(token.issued_at) > longest {
            return Err(Refused::TooLongLived);
        }
        let soon = now + self.leeway;
        if token.issued_at > soon || token.not_before.is_some_and(|instant| instant > soon) {
            return Err(Refused::NotYet);
        }
        if token.expires_at + self.leeway <= now {
            return Err(Refused::Expired);
        }
        Ok(())
    }
}

/// A part of a token: base64url of a JSON object.
fn json(part: &str) -> Result<Object, Refused> {
    strict::decode(part).and_then(|bytes| strict::object(&bytes)).ok_or(Refused::Malformed)
}
