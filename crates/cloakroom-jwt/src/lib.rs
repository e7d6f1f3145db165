//! Says who somebody is in a signed token (JWT, ES256 or EdDSA), for services that only need to
//! read that and verify it without any store.
//!
//! The service that keeps the sessions has a [`Signer`]. It signs an [`Identity`], for one
//! audience and for seconds, and publishes its public keys as a JWKS. Every other service has a
//! [`Verifier`] for its own name.
//!
//! ```
//! use cloakroom_core::Timestamp;
//! use cloakroom_jwt::{Algorithm, Identity, KeySet, Refused, Signer, SigningKey, Verifier};
//!
//! let now = Timestamp::from_millis(1_800_000_000_000);
//! let signer = Signer::new("https://login.example", SigningKey::generate(Algorithm::EdDsa)?);
//! let token = signer.sign(&Identity::new("alice").audience("orders").roles(["clerk"]), now)?;
//!
//! let keys = KeySet::parse(&signer.jwks(now))?;
//! let orders = Verifier::new("https://login.example", "orders", keys.clone());
//! assert_eq!(orders.verify(&token, now).unwrap().principal(), Some("alice"));
//!
//! let billing = Verifier::new("https://login.example", "billing", keys);
//! assert_eq!(billing.verify(&token, now).unwrap_err(), Refused::Audience);
//! # Ok::<(), cloakroom_jwt::Error>(())
//! ```
//!
//! # What a token is not
//!
//! It is not a session: it is admitted until it expires, also where the session has ended in the
//! meantime. So it lives for seconds, and what must not be done a minute too late asks the store.
//! Whoever holds a token can present it; a token is for one audience, so that nobody who is sent
//! one can use it elsewhere. Its content is signed, not encrypted.
//!
//! # What is refused
//!
//! A key has one algorithm, and what a header says only has to agree: there is no `none`, no
//! symmetric algorithm and no key taken from a token. `kid`, `typ`, `iss`, `aud`, `iat`, `exp`
//! and `jti` are required; the issuer, the audience and the type are compared exactly, and a list
//! of audiences is refused. A token that lives longer than its verifier allows is refused however
//! it is signed. Base64url and JSON are read strictly: one spelling, no name twice.
//!
//! An ECDSA signature `(r, s)` has a twin, `(r, n - s)`, that anybody can compute, and both are
//! admitted: other implementations sign with either. So a token's text does not name it. To
//! admit a token once, remember its [`Verified::id`].
//!
//! # Changing keys
//!
//! [`Signer::announce`] publishes a key before anything is signed with it. When every verifier has
//! had the time to fetch it, [`Signer::rotate`] signs with it, and goes on publishing the key
//! before until the last token that it has signed has lapsed. A verifier that meets
//! [`Refused::UnknownKey`] fetches the JWKS again, not more often than every few seconds (who
//! makes up names of keys decides how often it would), and hands it to [`Verifier::replace`].

mod claims;
mod error;
mod file;
mod identity;
mod jwks;
mod key;
mod pem;
mod public;
mod signer;
mod strict;
mod verifier;

use std::time::Duration;

pub use claims::{Verified, WrongType};
pub use error::{Error, Refused};
pub use identity::Identity;
pub use jwks::KeySet;
pub use key::SigningKey;
pub use public::{Algorithm, PublicKey};
pub use signer::Signer;
pub use verifier::Verifier;

/// Bytes in the longest token that is signed or looked at.
pub const LONGEST_TOKEN: usize = 8 * 1024;
/// Bytes in the longest JWKS that is read.
pub const LONGEST_JWKS: usize = 64 * 1024;
/// Keys in the largest JWKS that is read or published.
pub const MOST_KEYS: usize = 64;
/// Bytes in the longest name of a key (`kid`).
pub const LONGEST_KEY_NAME: usize = 256;
/// How far a verifier's clock may be from its signer's, unless it says otherwise.
pub const LEEWAY: Duration = Duration::from_secs(5);
/// The most that a verifier can be told to allow for its clock.
pub const MOST_LEEWAY: Duration = Duration::from_secs(60);
/// How long a token lives, unless its [`Identity`] says otherwise.
pub const LIFETIME: Duration = Duration::from_secs(60);
/// How long a token may live, unless a [`Signer`] and its [`Verifier`]s say otherwise.
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(5 * 60);
/// The type (`typ`) of our tokens, unless a [`Signer`] and its [`Verifier`]s say otherwise. Having
/// its own, no other kind of JWT that is signed with the same key can be taken for one (RFC 8725,
/// section 3.11).
pub const TYPE: &str = "cloakroom+jwt";
