//! Whatever arrives, nothing panics, and nothing but a signed token is admitted.

use cloakroom_core::Timestamp;
use cloakroom_jwt::{KeySet, PublicKey, Refused, SigningKey};
use proptest::prelude::*;
use proptest::sample::select;

use crate::forge::*;

/// Text that looks more like a token, a header or a set of keys than random text does.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            ".",
            "..",
            "=",
            "\\u0061",
            "null",
            "1e999",
            "-1",
            "\"alg\":\"EdDSA\"",
            "\"kid\":\"eddsa\"",
            "\"typ\":\"cloakroom+jwt\"",
            "\"aud\":[",
            "\"exp\":9007199254740993",
            "\"keys\":[",
            "\"kty\":\"OKP\"",
            "\"crv\":\"Ed25519\"",
            "-----BEGIN PRIVATE KEY-----\n",
            "-----END PRIVATE KEY-----\n",
            "-----BEGIN PUBLIC KEY-----\n",
            "-----END PUBLIC KEY-----\n",
            "é",
            "\0",
        ])
        .prop_map(str::to_owned),
        "[A-Za-z0-9_-]{0,40}",
        "\\PC{0,10}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_is_a_token(text in pieces(), now in any::<u64>()) {
        let now = Timestamp::from_millis(now);
        prop_assert!(verifier().verify(&text, now).is_err());
        let _ = KeySet::parse(&text);
        let _ = PublicKey::from_pem(&text);
        let _ = SigningKey::from_pem(&text);
    }

}

// Fewer, for each signs and verifies.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// What a signer of another make may sign: no claim of it is admitted unread.
    #[test]
    fn no_content_panics(header in pieces(), claims in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verifier().verify(&forge(HEADER, &claims), NOW).is_err());
        prop_assert!(verifier().verify(&forge(&header, CLAIMS), NOW).is_err());
    }

    #[test]
    fn no_claims_panic(name in select(vec![
        "iss", "sub", "sid", "aud", "iat", "nbf", "exp", "jti", "roles", "anonymous_id", "own",
    ]), value in json_value(), now in any::<u64>()) {
        let mut claims: serde_json::Value = serde_json::from_str(CLAIMS).unwrap();
        claims[name] = value;
        let token = forge(HEADER, claims.to_string());
        let _ = verifier().verify(&token, Timestamp::from_millis(now));
    }

    /// One character of a signed token exchanged for another, put in or taken out.
    #[test]
    fn a_token_that_was_touched_is_refused(
        at in any::<prop::sample::Index>(),
        other in "[A-Za-z0-9_.=-]",
        way in 0..3,
    ) {
        let token = forge(HEADER, CLAIMS);
        let at = at.index(token.len());
        let (before, after) = token.split_at(at);
        let touched = match way {
            0 => format!("{before}{other}{}", &after[1..]),
            1 => format!("{before}{other}{after}"),
            _ => format!("{before}{}", &after[1..]),
        };
        prop_assume!(touched != token);
        prop_assert!(verifier().verify(&touched, NOW).is_err());
    }

    /// A part of one token in another's place.
    #[test]
    fn tokens_do_not_mix(principal in "[a-z]{1,8}", part in 0_usize..3) {
        prop_assume!(principal != "alice");
        let ours = forge(HEADER, CLAIMS);
        let theirs = forge(HEADER, CLAIMS.replace("alice", &principal));
        let mut mixed: Vec<&str> = ours.split('.').collect();
        mixed[part] = theirs.split('.').nth(part).unwrap();
        let verified = verifier().verify(&mixed.join("."), NOW);
        if part == 0 {
            prop_assert!(verified.is_ok(), "the headers are the same");
        } else {
            prop_assert_eq!(verified.unwrap_err(), Refused::Signature);
        }
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-z]{0,4}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}
