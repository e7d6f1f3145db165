//! What holds for every text that claims to be a signed token, a set of keys or a key.

use cloakroom_core::Timestamp;
use cloakroom_jwt::{KeySet, MOST_KEYS, PublicKey, SigningKey, Verifier};

const JWKS: &str = include_str!("../../crates/cloakroom-jwt/tests/fixtures/jwks.json");
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Panics where reading does, where a token is admitted that is none of those that were signed,
/// and where a set of keys does not keep to its limits.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let keys = KeySet::parse(JWKS).expect("the fixtures' keys are good");
    let verifier = Verifier::new("https://login.example", "orders", keys);
    if let Ok(verified) = verifier.verify(text, NOW) {
        assert_eq!((verified.principal(), verified.id()), (Some("alice"), "one"));
    }
    if let Ok(keys) = KeySet::parse(text) {
        assert!((1..=MOST_KEYS).contains(&keys.iter().count()), "keys without a limit");
        assert!(keys.iter().all(|key| keys.get(key.kid()) == Some(key)), "a key is lost");
    }
    if let Ok(key) = PublicKey::from_pem(text) {
        assert_eq!(key.kid(), key.thumbprint(), "a key has another name");
    }
    if let Ok(key) = SigningKey::from_pem(text) {
        let again = SigningKey::from_pem(&key.reveal()).expect("a key is written as it is read");
        assert_eq!(key.public(), again.public(), "a key is written as another");
    }
}
