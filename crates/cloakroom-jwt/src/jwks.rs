//! The keys that a verifier believes: read from a JWKS (RFC 7517), or given one by one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::Error;
use crate::public::PublicKey;
use crate::strict::{self, Object};
use crate::{LONGEST_JWKS, LONGEST_KEY_NAME, MOST_KEYS};

/// Public keys by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet(BTreeMap<String, PublicKey>);

impl KeySet {
    /// Reads a JWKS.
    ///
    /// Passes over keys of other kinds and for other uses. Fails where two have one name, where
    /// one has none, where a private key is among them, and where none is left to verify with: a
    /// set that was fetched and makes no sense must not replace one that does.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST_JWKS {
            return Err(Error::NotAKeySet("it is too long"));
        }
        let set = strict::object(text.as_bytes())
            .ok_or(Error::NotAKeySet("it is not a JSON object, or a name comes twice in it"))?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(Error::NotAKeySet("it has no list of `keys`"))?;
        let mut known = Vec::new();
        for key in keys {
            let members = key.as_object().ok_or(Error::NotAKeySet("a key is not an object"))?;
            let members: Object = members.clone().into_iter().collect();
            known.extend(PublicKey::from_jwk(&members)?);
        }
        Self::of(known)
    }

    /// Collects keys. Fails without any, with more than [`MOST_KEYS`], where two have one name,
    /// and where a name is empty or longer than [`LONGEST_KEY_NAME`].
    pub fn of(keys: impl IntoIterator<Item = PublicKey>) -> Result<Self, Error> {
        let mut set = BTreeMap::new();
        for key in keys {
            if !(1..=LONGEST_KEY_NAME).contains(&key.kid().len()) {
                return Err(Error::NotAKeySet("a key has no name (`kid`), or too long a one"));
            }
            if set.insert(key.kid().to_owned(), key).is_some() {
                return Err(Error::NotAKeySet("two keys have the same name (`kid`)"));
            }
            if set.len() > MOST_KEYS {
                return Err(Error::NotAKeySet("it has too many keys"));
            }
        }
        if set.is_empty() {
            return Err(Error::NotAKeySet("it has no key for ES256 or EdDSA"));
        }
        Ok(Self(set))
    }

    /// The key that is called `kid`.
    pub fn get(&self, kid: &str) -> Option<&PublicKey> {
        self.0.get(kid)
    }

    /// The keys, by name.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.values()
    }
}

/// Writes keys as a JWKS, in their order.
pub(crate) fn text<'a>(keys: impl Iterator<Item = &'a PublicKey>) -> String {
    let keys: Vec<Value> = keys.map(PublicKey::jwk).collect();
    json!({ "keys": keys }).to_string()
}
