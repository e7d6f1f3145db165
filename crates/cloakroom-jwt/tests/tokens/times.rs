//! When a token is admitted: from its beginning to its end, give or take the leeway.

use cloakroom_core::Timestamp;
use cloakroom_jwt::{Error, LIFETIME, LONGEST_LIFETIME, MOST_LEEWAY, Refused};
use serde_json::json;

use crate::forge::*;

const SECOND: u64 = 1_800_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis().saturating_add_signed(millis))
}

#[test]
fn a_token_is_admitted_for_its_lifetime_and_the_leeway() {
    let (signer, verifier) = signer();
    let token = signer.sign(&alice().lifetime(seconds(30)), NOW).unwrap();
    for (offset, expected) in [
        (-5_001, Some(Refused::NotYet)),
        (-5_000, None),
        (0, None),
        (29_999, None),
        (34_999, None),
        (35_000, Some(Refused::Expired)),
        (1_000_000_000, Some(Refused::Expired)),
    ] {
        assert_eq!(verifier.verify(&token, at(offset)).err(), expected, "{offset}");
    }
    assert_eq!(verifier.verify(&token, Timestamp::EPOCH).unwrap_err(), Refused::NotYet);
    assert_eq!(verifier.verify(&token, Timestamp::MAX).unwrap_err(), Refused::Expired);
    let exact = verifier.leeway(seconds(0));
    assert_eq!(exact.verify(&token, at(-1)).unwrap_err(), Refused::NotYet);
    assert_eq!(exact.verify(&token, at(30_000)).unwrap_err(), Refused::Expired);
    assert!(exact.verify(&token, at(29_999)).is_ok());
}

#[test]
fn the_leeway_is_bounded() {
    let (signer, verifier) = signer();
    let token = signer.sign(&alice(), NOW).unwrap();
    let verifier = verifier.leeway(seconds(1_000_000));
    let end = NOW + LIFETIME + MOST_LEEWAY;
    assert_eq!(verifier.verify(&token, end).unwrap_err(), Refused::Expired);
}

#[test]
fn a_token_counts_in_whole_seconds() {
    let (signer, verifier) = signer();
    let identity = alice().lifetime(std::time::Duration::from_millis(1_001));
    let token = signer.sign(&identity, at(999)).unwrap();
    let verified = verifier.verify(&token, at(999)).unwrap();
    assert_eq!(verified.issued_at(), NOW);
    assert_eq!(verified.expires_at(), NOW + seconds(2));
    // Whoever is told the same limit admits what the other signs.
    let limit = std::time::Duration::from_millis(1_500);
    let token = signer.longest_lifetime(limit).sign(&alice().lifetime(limit), NOW).unwrap();
    assert!(verifier.longest_lifetime(limit).verify(&token, NOW).is_ok());
}

#[test]
fn what_lives_too_long_is_refused_however_it_is_signed() {
    let most = LONGEST_LIFETIME.as_secs();
    assert!(with(json!({"exp": SECOND + most})).is_ok());
    for exp in [SECOND + most + 1, SECOND * 2, Timestamp::MAX.millis() / 1000] {
        assert_eq!(with(json!({ "exp": exp })).unwrap_err(), Refused::TooLongLived, "{exp}");
    }
    // Nor by saying that it was made long ago, or will be.
    let (iat, exp) = (SECOND + most, SECOND + 2 * most);
    assert_eq!(with(json!({"iat": iat, "exp": exp})).unwrap_err(), Refused::NotYet);
    let token = forge(HEADER, CLAIMS.replace("1800000060", "1800000061"));
    let verifier = verifier().longest_lifetime(seconds(60));
    assert_eq!(verifier.verify(&token, NOW).unwrap_err(), Refused::TooLongLived);
}

#[test]
fn a_time_is_a_whole_number_of_seconds() {
    let far = Timestamp::MAX.millis() / 1000 + 1;
    for name in ["iat", "nbf", "exp"] {
        for value in [
            json!("1800000000"),
            json!("never"),
            json!(1_800_000_000.5),
            json!(-1),
            json!(far),
            json!(u64::MAX),
            json!(1e300),
        ] {
            let refused = with(json!({ name: value })).unwrap_err();
            assert_eq!(refused, Refused::Claim(name), "{value}");
        }
    }
    assert_eq!(with(json!({"exp": SECOND})).unwrap_err(), Refused::Claim("exp"));
    assert_eq!(with(json!({"exp": 0})).unwrap_err(), Refused::Claim("exp"));
}

#[test]
fn a_token_is_not_admitted_before_it_says() {
    assert!(with(json!({"nbf": null})).is_ok());
    assert!(with(json!({"nbf": SECOND + 5})).is_ok());
    assert_eq!(with(json!({"nbf": SECOND + 6})).unwrap_err(), Refused::NotYet);
    assert_eq!(with(json!({"iat": SECOND + 6})).unwrap_err(), Refused::NotYet);
}

#[test]
fn a_signer_signs_nothing_that_lives_too_long() {
    let (signer, _) = signer();
    let longer = LONGEST_LIFETIME + seconds(1);
    for lifetime in [longer, std::time::Duration::MAX, seconds(0)] {
        let refused = signer.sign(&alice().lifetime(lifetime), NOW).unwrap_err();
        assert!(matches!(refused, Error::Unsignable(_)), "{lifetime:?}");
    }
    let signer = signer.longest_lifetime(longer);
    assert!(signer.sign(&alice().lifetime(longer), NOW).is_ok());
    assert!(signer.sign(&alice().lifetime(longer), Timestamp::MAX).is_ok());
}
