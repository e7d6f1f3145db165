//! How keys come and go, and which sets of keys are believed.

use cloakroom_jwt::{
    Algorithm, Error, KeySet, LONGEST_JWKS, LONGEST_LIFETIME, MOST_KEYS, MOST_LEEWAY, PublicKey,
    Refused, Signer, SigningKey, Verifier,
};
use serde_json::{Value, json};

use crate::forge::*;

fn new_key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap()
}

fn kids(jwks: &str) -> Vec<String> {
    let jwks: Value = serde_json::from_str(jwks).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn keys_change_and_no_token_is_refused() {
    for (before, after) in
        [(Algorithm::Es256, Algorithm::EdDsa), (Algorithm::EdDsa, Algorithm::Es256)]
    {
        let (old, new) = (new_key(before), new_key(after));
        let names = [old.kid().to_owned(), new.kid().to_owned()];
        let signer = Signer::new(ISSUER, old);
        signer.announce(new.public().clone()).unwrap();
        let fetched = signer.jwks(NOW);
        assert_eq!(kids(&fetched), names);
        let verifier = Verifier::new(ISSUER, AUDIENCE, KeySet::parse(&fetched).unwrap());

        let identity = alice().lifetime(LONGEST_LIFETIME);
        let last_of_old = signer.sign(&identity, NOW).unwrap();
        signer.rotate(new, NOW).unwrap();
        let first_of_new = signer.sign(&identity, NOW).unwrap();
        assert!(verifier.verify(&last_of_old, NOW).is_ok());
        assert!(verifier.verify(&first_of_new, NOW).is_ok());

        // For as long as anybody may admit a token, its key is published.
        let end = NOW + LONGEST_LIFETIME + MOST_LEEWAY;
        assert_eq!(kids(&signer.jwks(end)), [names[1].clone(), names[0].clone()]);
        assert_eq!(kids(&signer.jwks(end + seconds(1))), [names[1].clone()]);
    }
}

#[test]
fn a_verifier_learns_of_a_key_it_does_not_know() {
    let (signer, verifier) = signer();
    signer.rotate(new_key(Algorithm::Es256), NOW).unwrap();
    let token = signer.sign(&alice(), NOW).unwrap();
    assert_eq!(verifier.verify(&token, NOW).unwrap_err(), Refused::UnknownKey);
    verifier.replace(KeySet::parse(&signer.jwks(NOW)).unwrap());
    assert!(verifier.verify(&token, NOW).is_ok());
}

#[test]
fn keys_change_while_others_sign_and_verify() {
    let (signer, verifier) = signer();
    std::thread::scope(|scope| {
        let (tokens, signed) = std::sync::mpsc::channel();
        let signer = &signer;
        scope.spawn(move || {
            for _ in 0..50 {
                tokens.send(signer.sign(&alice(), NOW).unwrap()).unwrap();
                signer.rotate(new_key(Algorithm::EdDsa), NOW).unwrap();
            }
        });
        for token in signed {
            let mut verified = verifier.verify(&token, NOW);
            if verified == Err(Refused::UnknownKey) {
                verifier.replace(KeySet::parse(&signer.jwks(NOW)).unwrap());
                verified = verifier.verify(&token, NOW);
            }
            assert_eq!(verified.unwrap().principal(), Some("alice"));
        }
    });
}

#[test]
fn a_stolen_key_is_withdrawn_at_once() {
    let (signer, verifier) = signer();
    let stolen = signer.public();
    let token = signer.sign(&alice(), NOW).unwrap();
    signer.withdraw(stolen.kid());
    assert_eq!(kids(&signer.jwks(NOW)), [stolen.kid()], "the one that signs stays");
    signer.rotate(new_key(Algorithm::EdDsa), NOW).unwrap();
    signer.withdraw(stolen.kid());
    verifier.replace(KeySet::parse(&signer.jwks(NOW)).unwrap());
    assert_eq!(verifier.verify(&token, NOW).unwrap_err(), Refused::UnknownKey);
}

#[test]
fn a_key_is_published_once_however_it_came() {
    let (signer, _) = signer();
    let first = signer.public();
    signer.announce(first.clone()).unwrap();
    signer.rotate(SigningKey::from_pem(EDDSA_PEM).unwrap(), NOW).unwrap();
    assert_eq!(kids(&signer.jwks(NOW)), [first.kid()]);
    signer.rotate(new_key(Algorithm::EdDsa), NOW).unwrap();
    signer.announce(first.clone()).unwrap();
    // And back to the first.
    signer.rotate(SigningKey::from_pem(EDDSA_PEM).unwrap(), NOW).unwrap();
    let names = kids(&signer.jwks(NOW));
    assert_eq!((names.len(), names[0].as_str()), (2, first.kid()));
}

#[test]
fn no_more_keys_are_published_than_are_read() {
    let (signer, _) = signer();
    let mut announced = 1;
    while signer.announce(new_key(Algorithm::EdDsa).public().clone()).is_ok() {
        announced += 1;
    }
    assert_eq!(announced, MOST_KEYS);
    let before = signer.jwks(NOW);
    assert!(KeySet::parse(&before).is_ok());
    assert!(signer.rotate(new_key(Algorithm::EdDsa), NOW).is_err());
    assert_eq!(signer.jwks(NOW), before);
    // But to one that is among them.
    signer.announce(new_key(Algorithm::EdDsa).public().clone()).unwrap_err();
    signer.withdraw(&kids(&before)[1]);
    signer.rotate(new_key(Algorithm::EdDsa), NOW).unwrap();
}

#[test]
fn what_is_published_is_public() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = new_key(algorithm);
        let public = key.public().clone();
        let jwks: Value = serde_json::from_str(&Signer::new(ISSUER, key).jwks(NOW)).unwrap();
        let jwk = &jwks["keys"][0];
        assert_eq!(
            (jwk["use"].as_str(), jwk["alg"].as_str()),
            (Some("sig"), Some(algorithm.name()))
        );
        assert_eq!(jwk["kid"].as_str(), Some(public.thumbprint().as_str()));
        let names: Vec<&String> = jwk.as_object().unwrap().keys().collect();
        let allowed = ["alg", "crv", "kid", "kty", "use", "x", "y"];
        assert!(names.iter().all(|name| allowed.contains(&name.as_str())), "{names:?}");
        assert_eq!(KeySet::parse(&jwks.to_string()).unwrap().get(public.kid()), Some(&public));
    }
}

#[test]
fn a_set_of_keys_that_cannot_be_trusted_is_refused_as_a_whole() {
    let jwks: Value = serde_json::from_str(JWKS).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut jwks = jwks.clone();
        change(&mut jwks["keys"][2]);
        jwks.to_string()
    };
    let many: Vec<Value> = (0..=MOST_KEYS)
        .map(
            |n| json!({"kty": "OKP", "crv": "Ed25519", "kid": n.to_string(), "x": encode([1; 32])}),
        )
        .collect();
    let long = format!("{JWKS}{}", " ".repeat(LONGEST_JWKS));
    for (bad, what) in [
        ("", "nothing"),
        ("{}", "no keys"),
        (r#"{"keys":{}}"#, "no list"),
        (r#"{"keys":[]}"#, "an empty list"),
        (r#"{"keys":[1]}"#, "no key"),
        (r#"{"keys":[],"keys":[]}"#, "two lists"),
        (&long, "too long"),
        (&json!({ "keys": many }).to_string(), "too many"),
        (&json!({ "keys": [jwks["keys"][0]] }).to_string(), "other kinds of keys only"),
        (&changed(&|key| key["kid"] = json!("es256")), "a name twice"),
        (&changed(&|key| key["kid"] = json!("")), "an empty name"),
        (&changed(&|key| key["kid"] = json!("x".repeat(1000))), "a long name"),
        (&changed(&|key| key["kid"] = Value::Null), "no name"),
        (&changed(&|key| key["d"] = json!(encode([7; 32]))), "a private key"),
        (&changed(&|key| key["x"] = json!(encode([7; 31]))), "a short key"),
        (&changed(&|key| key["x"] = json!(encode([7; 33]))), "a long key"),
        (&changed(&|key| key["x"] = json!(format!("{}=", encode([7; 32])))), "padding"),
        (&changed(&|key| key["x"] = Value::Null), "no key's bytes"),
    ] {
        assert!(matches!(KeySet::parse(bad), Err(Error::NotAKeySet(_))), "{what}");
    }
}

#[test]
fn keys_that_are_for_something_else_are_passed_over() {
    let names = |jwks: &str| {
        let keys = KeySet::parse(jwks).unwrap();
        keys.iter().map(|key| key.kid().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(JWKS), ["eddsa", "es256"]);
    for (name, value, is_kept) in [
        ("use", json!("enc"), false),
        ("use", json!(["sig"]), false),
        ("alg", json!("ES256"), false),
        ("alg", json!("HS256"), false),
        ("alg", json!("Ed25519"), true),
        ("key_ops", json!(["sign"]), false),
        ("key_ops", json!(["verify"]), true),
        ("key_ops", json!("verify"), false),
        ("crv", json!("X25519"), false),
    ] {
        let mut jwks: Value = serde_json::from_str(JWKS).unwrap();
        jwks["keys"][2][name] = value.clone();
        let kept = names(&jwks.to_string()).contains(&"eddsa".to_owned());
        assert_eq!(kept, is_kept, "{name} {value}");
    }
}

#[test]
fn public_keys_are_read_from_pem_too() {
    let es256 = PublicKey::from_pem(include_str!("../fixtures/es256-public.pem")).unwrap();
    let eddsa = PublicKey::from_pem(include_str!("../fixtures/eddsa-public.pem")).unwrap();
    assert_eq!(es256.algorithm(), Algorithm::Es256);
    assert_eq!(eddsa.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let keys = KeySet::of([es256.named("es256"), eddsa.clone().named("eddsa")]).unwrap();
    assert_eq!(keys, KeySet::parse(JWKS).unwrap());
    assert!(KeySet::of([]).is_err());
    assert!(KeySet::of([eddsa.clone(), eddsa.clone()]).is_err());
    assert!(KeySet::of([eddsa.named("")]).is_err());
    for bad in ["", "x", EDDSA_PEM, &include_str!("../fixtures/eddsa-public.pem")[..60]] {
        assert!(matches!(PublicKey::from_pem(bad), Err(Error::NotAKey(_))), "{bad}");
    }
}
