//! Tokens that other implementations have signed with our keys.

use cloakroom_jwt::{Identity, KeySet, PublicKey, Signer, SigningKey, Verifier};
use serde_json::json;

use crate::forge::*;

const SIGNED_ELSEWHERE: [(&str, &str); 5] = [
    ("PyJWT ES256", include_str!("../fixtures/pyjwt-es256.jwt")),
    ("PyJWT EdDSA", include_str!("../fixtures/pyjwt-eddsa.jwt")),
    ("jose ES256", include_str!("../fixtures/jose-es256.jwt")),
    ("jose EdDSA", include_str!("../fixtures/jose-eddsa.jwt")),
    ("jose Ed25519", include_str!("../fixtures/jose-ed25519.jwt")),
];

#[test]
fn what_others_have_signed_is_admitted() {
    for (who, token) in SIGNED_ELSEWHERE {
        let verified =
            verifier().verify(token, NOW).unwrap_or_else(|error| panic!("{who}: {error}"));
        assert_eq!(verified.principal(), Some("alice"), "{who}");
        assert_eq!(verified.session().unwrap().to_string(), "s-AAECAwQFBgcICQoLDA0ODxAR");
        assert_eq!(verified.roles(), ["clerk", "café"]);
        assert_eq!(verified.anonymous_id(), Some("visitor-7"));
        assert_eq!(verified.claim("tenant"), Some(&json!({"id": 7})));
        assert_eq!(verified.id(), "one");
        assert_eq!(verified.expires_at(), NOW + seconds(60));
    }
}

#[test]
fn keys_that_others_have_written_sign_here() {
    for (private, public) in [
        (ES256_PEM, include_str!("../fixtures/es256-public.pem")),
        (EDDSA_PEM, include_str!("../fixtures/eddsa-public.pem")),
    ] {
        let key = SigningKey::from_pem(private).unwrap();
        let public = PublicKey::from_pem(public).unwrap();
        assert_eq!(key.public(), &public);
        let verifier = Verifier::new(ISSUER, AUDIENCE, KeySet::of([public]).unwrap());
        let token =
            Signer::new(ISSUER, key).sign(&Identity::new("alice").audience(AUDIENCE), NOW).unwrap();
        assert!(verifier.verify(&token, NOW).is_ok());
    }
}
