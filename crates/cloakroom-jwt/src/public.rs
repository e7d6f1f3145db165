//! The half of a key that everybody may have: it verifies, and is published.

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::{Value, json};

use crate::error::Error;
use crate::strict::{self, Object};
use crate::{LONGEST_KEY_NAME, pem};

/// How tokens are signed. Every key has one algorithm; no token chooses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256 (RFC 7518, section 3.4): what everything can verify.
    Es256,
    /// Ed25519 (RFC 8037): faster and simpler, where all who verify know it.
    EdDsa,
}

/// Bytes in one of the numbers that a key is made of, on either curve.
const NUMBER: usize = 32;
/// What comes before the two coordinates of a point on P-256 (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;

impl Algorithm {
    /// What a header calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Whether `name` is what a header or a JWK may call it. RFC 9864 gave Ed25519 a second name.
    pub(crate) fn is_called(self, name: &str) -> bool {
        name == self.name() || (self == Self::EdDsa && name == "Ed25519")
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::EdDsa => &ED25519,
        }
    }
}

/// Verifies what one [`SigningKey`](crate::SigningKey) has signed.
///
/// Its name (`kid`) is its thumbprint (RFC 7638), unless it came from a JWKS that gives another.
/// A key that is no point of its curve verifies nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kid: String,
    algorithm: Algorithm,
    /// As `ring` takes it: the 32 bytes of Ed25519, or the uncompressed point of P-256.
    bytes: Vec<u8>,
}

impl PublicKey {
    /// Reads a PEM text (`PUBLIC KEY`, P-256 or Ed25519), as `openssl pkey -pubout` writes it.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        pem::public(text).map(|(algorithm, bytes)| Self::new(algorithm, bytes))
    }

    /// Gives the key another name than its thumbprint, where a signer calls it so.
    pub fn named(self, kid: impl Into<String>) -> Self {
        Self { kid: kid.into(), ..self }
    }

    /// `bytes` as `ring` gives and takes them.
    pub(crate) fn new(algorithm: Algorithm, bytes: Vec<u8>) -> Self {
        let kid = thumbprint(algorithm, &bytes);
        Self { kid, algorithm, bytes }
    }

    /// The key's name.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// How it verifies.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key's thumbprint, whatever its name (RFC 7638, SHA-256).
    pub fn thumbprint(&self) -> String {
        thumbprint(self.algorithm, &self.bytes)
    }

    /// Whether `signature` is this key's for `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(self.algorithm.verification(), &self.bytes);
        key.verify(message, signature).is_ok()
    }

    /// The key as a member of a JWKS (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match self.algorithm {
            Algorithm::Es256 => {
                let (x, y) = coordinates(&self.bytes);
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y})
            }
            Algorithm::EdDsa => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": strict::encode(&self.bytes)})
            }
        };
        jwk["alg"] = self.algorithm.name().into();
        jwk["use"] = "sig".into();
        jwk["kid"] = self.kid.as_str().into();
        jwk
    }

    /// Reads a member of a JWKS. `Ok(None)` for a key that is not for verifying with an algorithm
    /// of ours, which RFC 7517 (section 5) has us pass over.
    pub(crate) fn from_jwk(jwk: &Object) -> Result<Option<Self>, Error> {
        let text = |name| jwk.get(name).and_then(Value::as_str);
        let algorithm = match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) => Algorithm::Es256,
            (Some("OKP"), Some("Ed25519")) => Algorithm::EdDsa,
            _ => return Ok(None),
        };
        if jwk.contains_key("d") {
            return Err(Error::NotAKeySet(
                "it has a private key in it; publish the public half alone, and sign with another",
            ));
        }
        if !is_for_verifying(jwk, algorithm) {
            return Ok(None);
        }
        let kid = text("kid").filter(|kid| (1..=LONGEST_KEY_NAME).contains(&kid.len()));
        let kid = kid.ok_or(Error::NotAKeySet("a key has no name (`kid`), or too long a one"))?;
        let bytes = material(jwk, algorithm)
            .ok_or(Error::NotAKeySet("a key's `x` or `y` is not 32 bytes of base64url"))?;
        Ok(Some(Self { kid: kid.to_owned(), algorithm, bytes }))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm.name(), self.kid)
    }
}

/// Whether what a JWK says of its use lets it verify with `algorithm`. What it does not say is
/// not forbidden; what it says in another form than RFC 7517's is.
fn is_for_verifying(jwk: &Object, algorithm: Algorithm) -> bool {
    let may = |name, allows: &dyn Fn(&Value) -> bool| jwk.get(name).is_none_or(allows);
    let names_ours = |value: &Value| value.as_str().is_some_and(|name| algorithm.is_called(name));
    let verifies =
        |value: &Value| value.as_array().is_some_and(|list| list.contains(&"verify".into()));
    may("use", &|value| value == "sig") && may("alg", &names_ours) && may("key_ops", &verifies)
}

/// A JWK's numbers as `ring` takes them.
fn material(jwk: &Object, algorithm: Algorithm) -> Option<Vec<u8>> {
    let number = |name| {
        let bytes = strict::decode(jwk.get(name)?.as_str()?)?;
        (bytes.len() == NUMBER).then_some(bytes)
    };
    match algorithm {
        Algorithm::Es256 => Some([vec![UNCOMPRESSED], number("x")?, number("y")?].concat()),
        Algorithm::EdDsa => number("x"),
    }
}

/// The two halves of an uncompressed point, as base64url.
fn coordinates(point: &[u8]) -> (String, String) {
    let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(NUMBER).unwrap_or_default();
    (strict::encode(x), strict::encode(y))
}

/// SHA-256 of the members that make the key, in the order and spelling of RFC 7638 (section 3);
/// for Ed25519 those of RFC 8037 (section 2).
fn thumbprint(algorithm: Algorithm, bytes: &[u8]) -> String {
    let members = match algorithm {
        Algorithm::Es256 => {
            let (x, y) = coordinates(bytes);
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
        }
        Algorithm::EdDsa => {
            let x = strict::encode(bytes);
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
        }
    };
    strict::encode(digest(&SHA256, members.as_bytes()))
}
