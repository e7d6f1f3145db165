//! Makes tokens that no signer of ours would, with keys that the verifier believes.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom_core::Timestamp;
use cloakroom_jwt::{Identity, KeySet, Refused, Signer, SigningKey, Verified, Verifier};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(crate) const ISSUER: &str = "https://login.example";
pub(crate) const AUDIENCE: &str = "orders";
pub(crate) const ES256_PEM: &str = include_str!("../fixtures/es256.pem");
pub(crate) const EDDSA_PEM: &str = include_str!("../fixtures/eddsa.pem");
pub(crate) const JWKS: &str = include_str!("../fixtures/jwks.json");
/// The header that the verifier expects of a token of the Ed25519 key.
pub(crate) const HEADER: &str = r#"{"alg":"EdDSA","kid":"eddsa","typ":"cloakroom+jwt"}"#;
/// The least that a token has to say.
pub(crate) const CLAIMS: &str = r#"{"iss":"https://login.example","aud":"orders","sub":"alice",
    "iat":1800000000,"exp":1800000060,"jti":"one"}"#;

pub(crate) fn verifier() -> Verifier {
    Verifier::new(ISSUER, AUDIENCE, KeySet::parse(JWKS).unwrap())
}

/// A signer with the Ed25519 key of the fixtures, and a verifier that knows its keys.
pub(crate) fn signer() -> (Signer, Verifier) {
    let signer = Signer::new(ISSUER, SigningKey::from_pem(EDDSA_PEM).unwrap());
    let keys = KeySet::parse(&signer.jwks(NOW)).unwrap();
    (signer, Verifier::new(ISSUER, AUDIENCE, keys))
}

pub(crate) fn alice() -> Identity {
    Identity::new("alice").audience(AUDIENCE)
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// What is signed of a token with this header and this content.
pub(crate) fn signed(header: &str, claims: impl AsRef<[u8]>) -> String {
    format!("{}.{}", encode(header), encode(claims))
}

pub(crate) fn eddsa(signed: &str) -> Vec<u8> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(EDDSA_PEM.as_bytes()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).unwrap();
    pair.sign(signed.as_bytes()).as_ref().to_vec()
}

pub(crate) fn es256(signed: &str) -> Vec<u8> {
    let random = SystemRandom::new();
    let der = PrivatePkcs8KeyDer::from_pem_slice(ES256_PEM.as_bytes()).unwrap();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.secret_pkcs8_der(), &random).unwrap();
    pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec()
}

/// A token with a right signature of the Ed25519 key, whatever it says.
pub(crate) fn forge(header: &str, claims: impl AsRef<[u8]>) -> String {
    let signed = signed(header, claims);
    let signature = encode(eddsa(&signed));
    format!("{signed}.{signature}")
}

/// What becomes of a well-signed token with these claims in place of, or beside, [`CLAIMS`].
/// A `null` leaves the claim out.
pub(crate) fn with(changes: serde_json::Value) -> Result<Verified, Refused> {
    let mut claims: serde_json::Value = serde_json::from_str(CLAIMS).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    verifier().verify(&forge(HEADER, claims.to_string()), NOW)
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
