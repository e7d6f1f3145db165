//! What an attacker can send, beginning with what other libraries have admitted.

use cloakroom_jwt::{Algorithm, KeySet, LONGEST_TOKEN, Refused, SigningKey, Verifier};
use ring::hmac;
use serde_json::json;

use crate::forge::*;

fn refused(token: &str) -> Refused {
    verifier().verify(token, NOW).unwrap_err()
}

/// A token of this header and the usual claims, whose signature is right for the Ed25519 key.
fn headed(header: &str) -> Refused {
    refused(&forge(header, CLAIMS))
}

#[test]
fn what_the_attacks_begin_with_is_admitted() {
    let verified = verifier().verify(&forge(HEADER, CLAIMS), NOW).unwrap();
    assert_eq!(verified.principal(), Some("alice"));
}

#[test]
fn no_algorithm_is_none_and_none_is_symmetric() {
    for alg in ["none", "None", "nOnE", "NONE", "", "HS256", "HS512", "RS256", "ES384", "eddsa"] {
        let header = json!({"alg": alg, "kid": "eddsa", "typ": "cloakroom+jwt"}).to_string();
        assert_eq!(headed(&header), Refused::Algorithm, "{alg}");
        let unsigned = signed(&header, CLAIMS);
        assert_eq!(refused(&format!("{unsigned}.")), Refused::Algorithm, "{alg}");
        assert_eq!(refused(&unsigned), Refused::Malformed, "{alg}");
    }
    for alg in [json!(null), json!(["EdDSA"]), json!(1), json!({"EdDSA": 1})] {
        let header = json!({"alg": alg, "kid": "eddsa", "typ": "cloakroom+jwt"}).to_string();
        assert_eq!(headed(&header), Refused::Algorithm, "{alg}");
    }
    assert_eq!(headed(r#"{"kid":"eddsa","typ":"cloakroom+jwt"}"#), Refused::Algorithm);
    let unsigned = format!("{}.", signed(HEADER, CLAIMS));
    assert_eq!(refused(&unsigned), Refused::Signature);
}

#[test]
fn a_public_key_is_nobodys_shared_secret() {
    let header = r#"{"alg":"HS256","kid":"eddsa","typ":"cloakroom+jwt"}"#;
    let signed = signed(header, CLAIMS);
    let pem = include_str!("../fixtures/eddsa-public.pem");
    let raw = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    for secret in [pem.as_bytes(), pem.trim_end().as_bytes(), &raw, b""] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let tag = hmac::sign(&key, signed.as_bytes());
        assert_eq!(refused(&format!("{signed}.{}", encode(tag))), Refused::Algorithm);
        // And where the header tells the truth of the key, the tag is no signature.
        let honest = format!("{}.{}", crate::forge::signed(HEADER, CLAIMS), encode(tag));
        assert_eq!(refused(&honest), Refused::Signature);
    }
}

#[test]
fn a_key_signs_with_its_own_algorithm_only() {
    for (alg, kid) in [("ES256", "eddsa"), ("EdDSA", "es256"), ("Ed25519", "es256")] {
        let header = json!({"alg": alg, "kid": kid, "typ": "cloakroom+jwt"}).to_string();
        let signed = signed(&header, CLAIMS);
        for signature in [eddsa(&signed), es256(&signed)] {
            let token = format!("{signed}.{}", encode(signature));
            assert_eq!(refused(&token), Refused::Algorithm, "{alg} {kid}");
        }
    }
    let header = r#"{"alg":"ES256","kid":"es256","typ":"cloakroom+jwt"}"#;
    assert_eq!(headed(header), Refused::Signature);
}

#[test]
fn a_name_of_a_key_is_a_name_and_nothing_else() {
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "eddsa' UNION SELECT 'secret",
        "eddsa\0",
        "EDDSA",
        " eddsa",
        "rsa",
        "p384",
        "encrypts",
        "https://evil.example/jwks.json",
        "",
    ] {
        let header = json!({"alg": "EdDSA", "kid": kid, "typ": "cloakroom+jwt"}).to_string();
        assert_eq!(headed(&header), Refused::UnknownKey, "{kid}");
    }
    for kid in [json!(null), json!(0), json!(["eddsa"]), json!({"kid": "eddsa"})] {
        let header = json!({"alg": "EdDSA", "kid": kid, "typ": "cloakroom+jwt"}).to_string();
        assert_eq!(headed(&header), Refused::UnknownKey, "{kid}");
    }
    assert_eq!(headed(r#"{"alg":"EdDSA","typ":"cloakroom+jwt"}"#), Refused::UnknownKey);
}

#[test]
fn no_key_comes_with_a_token() {
    let theirs = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let jwk: serde_json::Value = {
        let text = cloakroom_jwt::Signer::new(ISSUER, theirs).jwks(NOW);
        serde_json::from_str(&text).unwrap()
    };
    let header = |name: &str, value: serde_json::Value| {
        let mut header: serde_json::Value = serde_json::from_str(HEADER).unwrap();
        header[name] = value;
        header.to_string()
    };
    let evil = json!("https://evil.example/jwks.json");
    for (name, value) in [
        ("jwk", jwk["keys"][0].clone()),
        ("jku", evil.clone()),
        ("x5u", evil),
        ("x5c", json!(["MIIB"])),
    ] {
        assert_eq!(headed(&header(name, value)), Refused::Header(name));
    }
}

#[test]
fn what_has_to_be_understood_is_refused() {
    for (name, more) in [
        ("crit", r#""crit":["exp"],"exp":1"#),
        ("crit", r#""crit":["b64"],"b64":false"#),
        ("crit", r#""crit":[]"#),
        ("crit", r#""crit":null"#),
        ("b64", r#""b64":true"#),
        ("enc", r#""enc":"A128GCM""#),
        ("zip", r#""zip":"DEF""#),
    ] {
        let header = HEADER.replace('}', &format!(",{more}}}"));
        assert_eq!(headed(&header), Refused::Header(name), "{more}");
    }
    // What need not be understood is passed over, as the standard has it.
    let header = HEADER.replace('}', r#","x5t":"AA"}"#);
    assert!(verifier().verify(&forge(&header, CLAIMS), NOW).is_ok());
}

#[test]
fn another_type_of_token_is_refused() {
    for typ in ["JWT", "at+jwt", "logout+jwt", "Cloakroom+jwt", "application/cloakroom+jwt", ""] {
        let header = json!({"alg": "EdDSA", "kid": "eddsa", "typ": typ}).to_string();
        assert_eq!(headed(&header), Refused::Type, "{typ}");
    }
    assert_eq!(headed(r#"{"alg":"EdDSA","kid":"eddsa"}"#), Refused::Type);
    let lenient = verifier().token_type("JWT");
    assert_eq!(lenient.verify(&forge(HEADER, CLAIMS), NOW).unwrap_err(), Refused::Type);
    let header = r#"{"alg":"EdDSA","kid":"eddsa","typ":"JWT"}"#;
    assert!(lenient.verify(&forge(header, CLAIMS), NOW).is_ok());
}

#[test]
fn a_token_in_a_token_is_refused() {
    let inner = forge(HEADER, CLAIMS);
    assert_eq!(refused(&forge(HEADER, &inner)), Refused::Malformed);
    assert_eq!(refused(&forge(HEADER, format!("{inner:?}"))), Refused::Malformed);
    let nested = HEADER.replace('}', r#","cty":"JWT"}"#);
    assert_eq!(headed(&nested), Refused::Header("cty"));
    // An encrypted token has five parts.
    assert_eq!(refused(&format!("{inner}.AA.AA")), Refused::Malformed);
}

#[test]
fn a_name_that_comes_twice_is_refused() {
    for header in [
        r#"{"alg":"none","alg":"EdDSA","kid":"eddsa","typ":"cloakroom+jwt"}"#,
        r#"{"alg":"EdDSA","kid":"eddsa","typ":"cloakroom+jwt","\u0061lg":"none"}"#,
    ] {
        assert_eq!(headed(header), Refused::Malformed, "{header}");
    }
    for more in [r#""sub":"bob""#, r#""s\u0075b":"bob""#, r#""own":{"a":1,"a":2}"#] {
        let claims = CLAIMS.replacen('{', &format!("{{{more},"), 1);
        assert_eq!(refused(&forge(HEADER, claims)), Refused::Malformed, "{more}");
    }
}

#[test]
fn garbage_around_a_token_is_refused() {
    let token = forge(HEADER, CLAIMS);
    let bearer = format!("Bearer {token}");
    let doubled = format!("{token}{token}");
    for garbage in ["\n", " ", ".", "=", "==", "A", "AA", "\0", "é", ".AA", "#x"] {
        verifier().verify(&format!("{token}{garbage}"), NOW).unwrap_err();
        verifier().verify(&format!("{garbage}{token}"), NOW).unwrap_err();
    }
    for bad in [&bearer, &doubled, "", ".", "..", "...", "a.b.c", "{}", "{}.{}.{}"] {
        assert_eq!(refused(bad), Refused::Malformed, "{bad}");
    }
    for claims in [format!("{CLAIMS}x"), format!("{CLAIMS}{{}}"), format!("[{CLAIMS}]")] {
        assert_eq!(refused(&forge(HEADER, claims)), Refused::Malformed);
    }
    // A flattened one, in the JSON form of RFC 7515 (section 7.2).
    let parts: Vec<&str> = token.split('.').collect();
    let flat = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]});
    assert_eq!(refused(&flat.to_string()), Refused::Malformed);
}

#[test]
fn base64url_has_one_spelling() {
    let token = forge(HEADER, CLAIMS);
    // The last character of 64 bytes has four bits that mean nothing.
    let (rest, last) = token.split_at(token.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    for bits in 1..16 {
        let other = &alphabet[at + bits..=at + bits];
        assert_eq!(refused(&format!("{rest}{other}")), Refused::Malformed, "{bits}");
    }
    assert_eq!(refused(&format!("{token}==")), Refused::Malformed);
    // The other alphabet, in a part whose bytes need it; signed, so that only its spelling is bad.
    let claims = CLAIMS.replace("alice", "???>>>ÿÿÿ");
    let unsigned = signed(HEADER, claims);
    assert!(unsigned.contains(['-', '_']), "{unsigned}");
    let plain = unsigned.replace('-', "+").replace('_', "/");
    let token = format!("{plain}.{}", encode(eddsa(&plain)));
    assert_eq!(refused(&token), Refused::Malformed);
}

/// Both twins of an ECDSA signature are admitted: other implementations sign with either, and
/// nothing here takes a token's text for its name. Ed25519 has no such twin.
#[test]
fn a_signature_may_be_rewritten_where_its_algorithm_allows_it() {
    let header = r#"{"alg":"ES256","kid":"es256","typ":"cloakroom+jwt"}"#;
    let signed = signed(header, CLAIMS);
    let signature = es256(&signed);
    let twin = [&signature[..32], &n_less(&signature[32..])].concat();
    assert_ne!(signature, twin);
    let ids = [&signature, &twin].map(|signature| {
        let token = format!("{signed}.{}", encode(signature));
        verifier().verify(&token, NOW).unwrap().id().to_owned()
    });
    assert_eq!(ids[0], ids[1], "a token that is remembered by its id is admitted once");

    let zero = [0; 64];
    let one_too_long = [signature.as_slice(), &[0]].concat();
    let der =
        [&[0x30, 0x44, 0x02, 0x20], &signature[..32], &[0x02, 0x20], &signature[32..]].concat();
    for bad in [&zero[..], &signature[..63], &one_too_long, &der, &[0xff; 64], &[]] {
        let token = format!("{signed}.{}", encode(bad));
        assert_eq!(refused(&token), Refused::Signature);
    }

    let unsigned = crate::forge::signed(HEADER, CLAIMS);
    let signature = eddsa(&unsigned);
    let higher = [&signature[..32], &plus_order(&signature[32..])].concat();
    let token = format!("{unsigned}.{}", encode(higher));
    assert_eq!(refused(&token), Refused::Signature);
}

/// The order of P-256 less `s`, both with the highest byte first.
fn n_less(s: &[u8]) -> [u8; 32] {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let mut rest = [0; 32];
    let mut borrow = 0_i16;
    for at in (0..32).rev() {
        let difference = i16::from(N[at]) - i16::from(s[at]) - borrow;
        borrow = i16::from(difference < 0);
        rest[at] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    rest
}

/// `s` and the order of Ed25519's group, both with the lowest byte first.
fn plus_order(s: &[u8]) -> [u8; 32] {
    let mut order = [0_u8; 32];
    order[..16].copy_from_slice(&[
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14,
    ]);
    order[31] = 0x10;
    let mut sum = [0; 32];
    let mut carry = 0;
    for at in 0..32 {
        let digit = u16::from(s[at]) + u16::from(order[at]) + carry;
        carry = digit >> 8;
        sum[at] = (digit & 0xff) as u8;
    }
    sum
}

#[test]
fn what_is_too_long_is_not_looked_at() {
    let token = |length: usize| {
        // Three bytes are four characters; the rest of the token is the same each time.
        let empty = forge(HEADER, CLAIMS.replacen('{', r#"{"own":"","#, 1)).len();
        let own = "x".repeat((length - empty) / 4 * 3);
        forge(HEADER, CLAIMS.replacen('{', &format!(r#"{{"own":"{own}","#), 1))
    };
    assert!(verifier().verify(&token(LONGEST_TOKEN - 8), NOW).is_ok());
    assert_eq!(refused(&token(LONGEST_TOKEN + 8)), Refused::TooLong);
    assert_eq!(refused(&token(1 << 20)), Refused::TooLong);
    assert_eq!(refused(&"a".repeat(1 << 20)), Refused::TooLong);
    assert_eq!(refused(&".".repeat(1 << 20)), Refused::TooLong);
}

#[test]
fn a_key_that_is_no_point_of_its_curve_verifies_nothing() {
    let zeros = encode([0; 32]);
    let jwks = json!({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": "es256", "x": zeros, "y": zeros},
        {"kty": "OKP", "crv": "Ed25519", "kid": "eddsa", "x": encode([0xff; 32])},
    ]});
    let verifier = Verifier::new(ISSUER, AUDIENCE, KeySet::parse(&jwks.to_string()).unwrap());
    for (header, name) in [(HEADER, "eddsa"), (&HEADER.replace("eddsa", "es256"), "es256")] {
        let header = header.replace("EdDSA", if name == "es256" { "ES256" } else { "EdDSA" });
        let signed = signed(&header, CLAIMS);
        for signature in [eddsa(&signed), es256(&signed), vec![0; 64]] {
            let token = format!("{signed}.{}", encode(signature));
            assert_eq!(verifier.verify(&token, NOW).unwrap_err(), Refused::Signature, "{name}");
        }
    }
}

#[test]
fn what_was_signed_for_one_is_refused_by_others() {
    let token = forge(HEADER, CLAIMS);
    let keys = || KeySet::parse(JWKS).unwrap();
    for audience in ["billing", "orders ", "Orders", "order", "orders/", ""] {
        let other = Verifier::new(ISSUER, audience, keys());
        assert_eq!(other.verify(&token, NOW).unwrap_err(), Refused::Audience, "{audience}");
    }
    for issuer in ["https://login.example/", "https://LOGIN.example", "http://login.example", ""] {
        let other = Verifier::new(issuer, AUDIENCE, keys());
        assert_eq!(other.verify(&token, NOW).unwrap_err(), Refused::Issuer, "{issuer}");
    }
}

#[test]
fn every_claim_that_counts_has_to_be_there_and_of_its_type() {
    for name in ["iss", "aud", "iat", "exp", "jti"] {
        for value in [json!(null), json!(true), json!([]), json!({}), json!("")] {
            let refused = with(json!({ name: value })).unwrap_err();
            assert_eq!(refused, Refused::Claim(name), "{value}");
        }
    }
    assert_eq!(with(json!({"sub": null})).unwrap_err(), Refused::Claim("sub"));
    for name in ["sub", "sid", "anonymous_id", "nbf", "roles"] {
        for value in [json!(true), json!({}), json!("")] {
            let refused = with(json!({ name: value })).unwrap_err();
            assert_eq!(refused, Refused::Claim(name), "{value}");
        }
    }
    for list in [json!(["orders"]), json!(["orders", "billing"]), json!(["billing", "orders"])] {
        assert_eq!(with(json!({ "aud": list })).unwrap_err(), Refused::Claim("aud"));
    }
    for sid in ["alice", "t-AAECAwQFBgcICQoLDA0ODxAR", "s-AAECAwQFBgcICQoLDA0ODxA"] {
        assert_eq!(with(json!({ "sid": sid })).unwrap_err(), Refused::Claim("sid"));
    }
    for roles in [json!("admin"), json!([1]), json!(["clerk", ["admin"]]), json!([null])] {
        assert_eq!(with(json!({ "roles": roles })).unwrap_err(), Refused::Claim("roles"));
    }
}
