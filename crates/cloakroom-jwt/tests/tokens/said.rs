//! What is said of somebody is what is read.

use std::collections::HashSet;

use cloakroom_core::{Key, Kind};
use cloakroom_jwt::{Error, Identity, WrongType};
use serde_json::json;

use crate::forge::*;

#[test]
fn everything_said_is_read() {
    let (signer, verifier) = signer();
    let key = Key::random(Kind::Session);
    let identity = Identity::new("alice")
        .session(key)
        .audience(AUDIENCE)
        .roles(["clerk", "café"])
        .anonymous_id("visitor-7")
        .claim("tenant", json!({"id": 7}))
        .claim("level", 3);
    let token = signer.sign(&identity, NOW).unwrap();
    let verified = verifier.verify(&token, NOW).unwrap();
    assert_eq!(verified.principal(), Some("alice"));
    assert_eq!(verified.session(), Some(key));
    assert_eq!(verified.roles(), ["clerk", "café"]);
    assert!(verified.has_role("clerk") && !verified.has_role("admin"));
    assert_eq!(verified.anonymous_id(), Some("visitor-7"));
    assert_eq!((verified.issuer(), verified.audience()), (ISSUER, AUDIENCE));
    assert_eq!((verified.issued_at(), verified.expires_at()), (NOW, NOW + seconds(60)));
    assert_eq!(verified.claim("tenant"), Some(&json!({"id": 7})));
    assert_eq!(verified.claim_as::<u8>("level"), Ok(Some(3)));
    assert_eq!(verified.claim_as::<String>("level"), Err(WrongType));
    assert_eq!(verified.claim_as::<u8>("other"), Ok(None));
    assert_eq!(verified.claim_names().collect::<Vec<_>>(), ["level", "tenant"]);
    assert_eq!(verified.claim("sub"), None);
}

#[test]
fn a_visitor_is_no_principal() {
    let (signer, verifier) = signer();
    let token = signer.sign(&Identity::visitor("v7").audience(AUDIENCE), NOW).unwrap();
    let verified = verifier.verify(&token, NOW).unwrap();
    assert_eq!((verified.principal(), verified.anonymous_id()), (None, Some("v7")));
    assert_eq!((verified.session(), verified.roles()), (None, &[][..]));
}

#[test]
fn every_token_has_a_name_of_its_own() {
    let (signer, verifier) = signer();
    let id = |_| {
        let token = signer.sign(&alice(), NOW).unwrap();
        verifier.verify(&token, NOW).unwrap().id().to_owned()
    };
    assert_eq!((0..100).map(id).collect::<HashSet<_>>().len(), 100);
}

#[test]
fn what_would_be_refused_is_not_signed() {
    let (signer, _) = signer();
    let mut bad = vec![
        Identity::new("alice"),
        alice().audience(""),
        Identity::new("").audience(AUDIENCE),
        alice().anonymous_id(""),
        alice().session(Key::random(Kind::Ticket)),
        alice().claim("own", "x".repeat(10_000)),
    ];
    for name in ["iss", "sub", "sid", "aud", "iat", "nbf", "exp", "jti", "roles", "anonymous_id"] {
        bad.push(alice().claim(name, "mallory"));
    }
    for identity in bad {
        let refused = signer.sign(&identity, NOW).unwrap_err();
        assert!(matches!(refused, Error::Unsignable(_)), "{identity:?}");
    }
}

#[test]
fn debug_prints_no_value_of_a_claim() {
    let (signer, verifier) = signer();
    let identity = alice().claim("own", "hidden");
    let token = signer.sign(&identity, NOW).unwrap();
    let verified = verifier.verify(&token, NOW).unwrap();
    for text in [format!("{identity:?}"), format!("{verified:?}"), format!("{verified:#?}")] {
        assert!(text.contains("own") && !text.contains("hidden"), "{text}");
    }
    let signature = token.rsplit_once('.').unwrap().1;
    assert!(!format!("{signer:?} {verifier:?} {verified:?}").contains(signature));
}

#[test]
fn an_issuer_without_a_name_signs_nothing() {
    let (signer, _) = signer();
    let nameless =
        cloakroom_jwt::Signer::new("", cloakroom_jwt::SigningKey::from_pem(EDDSA_PEM).unwrap());
    assert!(signer.sign(&alice(), NOW).is_ok());
    assert!(nameless.sign(&alice(), NOW).is_err());
}
