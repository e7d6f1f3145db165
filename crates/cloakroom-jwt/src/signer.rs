//! Signs tokens with one key, and publishes it with those before and after it.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cloakroom_core::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

use crate::error::Error;
use crate::identity::{Identity, Stamp};
use crate::jwks;
use crate::key::SigningKey;
use crate::public::PublicKey;
use crate::strict;
use crate::{LONGEST_LIFETIME, LONGEST_TOKEN, MOST_KEYS, MOST_LEEWAY, TYPE};

/// Bytes of randomness in a token's id.
const ID: usize = 18;

/// Signs identities in the name of one issuer. Shared by reference between threads; its keys can
/// be changed while it signs.
///
/// `Debug` prints the names of its keys.
pub struct Signer {
    issuer: String,
    token_type: String,
    longest_lifetime: Duration,
    random: SystemRandom,
    ring: RwLock<Arc<Ring>>,
}

/// The keys at one moment; replaced as a whole.
#[derive(Clone)]
struct Ring {
    active: Arc<SigningKey>,
    others: Vec<Published>,
}

/// A key that is published and does not sign here.
#[derive(Clone)]
struct Published {
    key: PublicKey,
    /// Until when; `None` for one that was announced.
    until: Option<Timestamp>,
}

impl Signer {
    /// Signs in the name of `issuer` with `key`.
    pub fn new(issuer: impl Into<String>, key: SigningKey) -> Self {
        Self {
            issuer: issuer.into(),
            token_type: TYPE.to_owned(),
            longest_lifetime: LONGEST_LIFETIME,
            random: SystemRandom::new(),
            ring: RwLock::new(Arc::new(Ring { active: Arc::new(key), others: Vec::new() })),
        }
    }

    /// Signs tokens of another type than [`TYPE`]. Some verifiers of other makers admit `JWT`
    /// alone.
    pub fn token_type(self, token_type: impl Into<String>) -> Self {
        Self { token_type: token_type.into(), ..self }
    }

    /// Signs nothing that lives longer than `limit` instead of [`LONGEST_LIFETIME`]. A key that
    /// was replaced is published for this long; verifiers need to be told as well.
    pub fn longest_lifetime(self, limit: Duration) -> Self {
        Self { longest_lifetime: limit, ..self }
    }

    /// Signs `identity`, valid from `now` on.
    ///
    /// Fails where a verifier would refuse the token: without an audience, beyond the longest
    /// lifetime, over [`LONGEST_TOKEN`].
    pub fn sign(&self, identity: &Identity, now: Timestamp) -> Result<String, Error> {
        let claims = identity.claims(Stamp {
            issuer: &self.issuer,
            id: self.random_id()?,
            now,
            longest_lifetime: self.longest_lifetime,
        })?;
        let key = &self.ring().active;
        let header = json!({
            "alg": key.public().algorithm().name(),
            "kid": key.kid(),
            "typ": self.token_type,
        });
        let mut token = strict::encode(header.to_string());
        token.push('.');
        token.push_str(&strict::encode(claims));
        let signature = key.sign(&self.random, token.as_bytes())?;
        token.push('.');
        token.push_str(&strict::encode(signature));
        if token.len() > LONGEST_TOKEN {
            return Err(Error::Unsignable("its token would be too long"));
        }
        Ok(token)
    }

    /// The keys to verify with, as a JWKS: the one that signs, those that were announced, and
    /// those whose tokens have not lapsed at `now`.
    ///
    /// To be served as `application/jwk-set+json`, and cached for less time than passes between
    /// [`announce`](Self::announce) and [`rotate`](Self::rotate).
    pub fn jwks(&self, now: Timestamp) -> String {
        let ring = self.ring();
        let others = ring.others.iter().filter(|other| other.is_due(now)).map(|other| &other.key);
        jwks::text(std::iter::once(ring.active.public()).chain(others))
    }

    /// Publishes a key that does not sign here: one that soon will, one that another node signs
    /// with, or one from before a restart. It stays until it is [withdrawn](Self::withdraw).
    ///
    /// Fails where [`MOST_KEYS`] are published already.
    pub fn announce(&self, key: PublicKey) -> Result<(), Error> {
        self.change(|ring| {
            if ring.active.kid() != key.kid() {
                ring.others.retain(|other| other.key.kid() != key.kid());
                ring.others.push(Published { key, until: None });
            }
        })
    }

    /// Signs with `key` from now on. The key before is published until the last token that it can
    /// have signed has lapsed for the most lenient verifier.
    ///
    /// Fails, and changes nothing, where [`MOST_KEYS`] are published already. Nothing happens
    /// where `key` is the one that signs.
    pub fn rotate(&self, key: SigningKey, now: Timestamp) -> Result<(), Error> {
        let until = now + self.longest_lifetime + MOST_LEEWAY + Duration::from_secs(1);
        self.change(|ring| {
            if ring.active.kid() == key.kid() {
                return;
            }
            let before = std::mem::replace(&mut ring.active, Arc::new(key));
            ring.others.retain(|other| {
                other.is_due(now) && ![before.kid(), ring.active.kid()].contains(&other.key.kid())
            });
            ring.others.push(Published { key: before.public().clone(), until: Some(until) });
        })
    }

    /// Publishes the key that is called `kid` no more: at once, so that what it has signed is
    /// refused by every verifier that fetches the keys again. What to do when a key was stolen,
    /// after [`rotate`](Self::rotate). Nothing happens to the key that signs.
    pub fn withdraw(&self, kid: &str) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut ring).others.retain(|other| other.key.kid() != kid);
    }

    /// The public half of the key that signs.
    pub fn public(&self) -> PublicKey {
        self.ring().active.public().clone()
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the keys by what `change` makes of them, unless they become too many.
    fn change(&self, change: impl FnOnce(&mut Ring)) -> Result<(), Error> {
        let mut current = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Ring::clone(&current);
        change(&mut next);
        if next.others.len() >= MOST_KEYS {
            return Err(Error::NotAKeySet("too many keys would be published; withdraw some"));
        }
        *current = Arc::new(next);
        Ok(())
    }

    fn random_id(&self) -> Result<String, Error> {
        let mut id = [0; ID];
        self.random.fill(&mut id).map_err(|_| Error::NoRandomness)?;
        Ok(strict::encode(id))
    }
}

impl Published {
    fn is_due(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = self.ring();
        f.debug_struct("Signer")
            .field("issuer", &self.issuer)
            .field("active", &ring.active)
            .field("others", &ring.others.iter().map(|other| &other.key).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
