//! Known answers of RFC 7515 and RFC 8037, and what a key shows of itself.

use super::*;
use crate::strict;

/// RFC 7515, appendix A.3.
const ES256_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
const ES256_JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"A.3",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
const ES256_JWS: &str = "eyJhbGciOiJFUzI1NiJ9.\
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
    DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 8037, appendices A.1 to A.4.
const ED25519_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
const ED25519_JWKS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"A.4",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const ED25519_THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const ED25519_JWS: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
    hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

fn published(jwks: &str, kid: &str) -> PublicKey {
    crate::KeySet::parse(jwks).unwrap().get(kid).unwrap().clone()
}

fn split(jws: &str) -> (&str, Vec<u8>) {
    let (signed, signature) = jws.rsplit_once('.').unwrap();
    (signed, strict::decode(signature).unwrap())
}

#[test]
fn the_examples_of_the_standards_verify() {
    for (jwks, kid, jws) in [(ES256_JWKS, "A.3", ES256_JWS), (ED25519_JWKS, "A.4", ED25519_JWS)] {
        let key = published(jwks, kid);
        let (signed, signature) = split(jws);
        assert!(key.verifies(signed.as_bytes(), &signature), "{kid}");
        assert!(!key.verifies(&signed.as_bytes()[1..], &signature), "{kid}");
        for at in 0..signature.len() {
            let mut other = signature.clone();
            other[at] ^= 1;
            assert!(!key.verifies(signed.as_bytes(), &other), "{kid} {at}");
        }
    }
}

#[test]
fn ed25519_signs_as_the_standard_does() {
    let seed = strict::decode(ED25519_D).unwrap();
    let der = [ED25519_PKCS8.as_slice(), &seed].concat();
    let key = SigningKey::from_der(Zeroizing::new(der)).unwrap();
    assert_eq!(key.kid(), ED25519_THUMBPRINT);
    assert_eq!(published(ED25519_JWKS, "A.4").thumbprint(), ED25519_THUMBPRINT);
    let (signed, signature) = split(ED25519_JWS);
    assert_eq!(key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap(), signature);
}

#[test]
fn es256_signs_what_the_standards_key_verifies() {
    let public = published(ES256_JWKS, "A.3");
    let point = ["x", "y"].map(|name| {
        let jwk = public.jwk();
        strict::decode(jwk[name].as_str().unwrap()).unwrap()
    });
    // RFC 5958 around RFC 5915, as openssl writes it.
    let head = [
        0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
        0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30,
        0x6b, 0x02, 0x01, 0x01, 0x04, 0x20,
    ];
    let middle = [0xa1, 0x44, 0x03, 0x42, 0x00, 0x04];
    let d = strict::decode(ES256_D).unwrap();
    let der = [&head[..], &d, &middle, &point[0], &point[1]].concat();
    let key = SigningKey::from_der(Zeroizing::new(der)).unwrap();
    assert_eq!(key.kid(), public.thumbprint());
    let signature = key.sign(&SystemRandom::new(), b"message").unwrap();
    assert!(public.verifies(b"message", &signature));
}

#[test]
fn debug_prints_a_keys_name_and_nothing_else() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey({}, {})", algorithm.name(), key.kid()));
    }
}
