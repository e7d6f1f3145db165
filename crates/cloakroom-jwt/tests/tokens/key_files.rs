//! Private keys in files: who may read them, and what is said where they cannot be used.

use std::fs;

use cloakroom_jwt::{Algorithm, Error, SigningKey};

use crate::forge::{EDDSA_PEM, ES256_PEM};

#[test]
fn a_key_that_was_saved_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let path = folder.path().join(algorithm.name());
        let key = SigningKey::generate(algorithm).unwrap();
        key.save(&path).unwrap();
        assert_eq!(SigningKey::from_file(&path).unwrap().public(), key.public());
        // Nothing is written over a key.
        let other = SigningKey::generate(algorithm).unwrap();
        assert!(matches!(other.save(&path), Err(Error::File { .. })));
        assert_eq!(SigningKey::from_file(&path).unwrap().kid(), key.kid());
    }
}

#[test]
fn a_key_is_written_as_others_write_it() {
    for pem in [ES256_PEM, EDDSA_PEM] {
        assert_eq!(*SigningKey::from_pem(pem).unwrap().reveal(), pem);
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_use_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    SigningKey::generate(Algorithm::EdDsa).unwrap().save(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for (mode, is_refused) in
        [(0o644, true), (0o604, true), (0o602, true), (0o660, true), (0o640, false), (0o400, false)]
    {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let read = SigningKey::from_file(&path);
        assert_eq!(matches!(read, Err(Error::Exposed { .. })), is_refused, "{mode:o}");
        assert_eq!(read.is_err(), is_refused, "{mode:o}");
    }
    // A link is as good as what it leads to.
    let link = folder.path().join("link.pem");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(SigningKey::from_file(&link).is_ok());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let told = SigningKey::from_file(&link).unwrap_err().to_string();
    assert!(told.contains("644") && told.contains("chmod 600"), "{told}");
}

#[test]
fn what_is_wrong_with_a_file_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let told = |path| SigningKey::from_file(path).unwrap_err().to_string();
    let absent = folder.path().join("absent.pem");
    assert!(told(absent.clone()).contains("absent.pem cannot be read"));
    assert!(told(folder.path().to_owned()).contains("it is not a file"));
    SigningKey::generate(Algorithm::EdDsa).unwrap().save(&absent).unwrap();
    fs::write(&absent, "x".repeat(20_000)).unwrap();
    assert!(told(absent).contains("too large"));
}

#[test]
fn what_is_no_key_says_what_to_do_and_repeats_nothing() {
    let section =
        |name: &str, body: &str| format!("-----BEGIN {name}-----\n{body}\n-----END {name}-----\n");
    let seed = "nWGxne";
    for (text, told) in [
        (String::new(), "no PEM text"),
        (seed.to_owned(), "no PEM text"),
        (section("PRIVATE KEY", "nWGxne!!"), "broken"),
        (section("PRIVATE KEY", "nWGxneAA"), "neither Ed25519 nor P-256"),
        (section("EC PRIVATE KEY", "nWGxneAA"), "openssl pkcs8 -topk8"),
        (section("RSA PRIVATE KEY", "nWGxneAA"), "use P-256 or Ed25519"),
        (section("ENCRYPTED PRIVATE KEY", "nWGxneAA"), "decrypt"),
        (section("CERTIFICATE", "nWGxneAA"), "something else"),
        (include_str!("../fixtures/eddsa-public.pem").to_owned(), "public key"),
        (format!("{EDDSA_PEM}{ES256_PEM}"), "more than one"),
        (format!("{EDDSA_PEM}{}", section("CERTIFICATE", "nWGxneAA")), "something else"),
    ] {
        let error = SigningKey::from_pem(&text).unwrap_err();
        assert!(error.to_string().contains(told), "{error}, not {told}");
        assert!(!format!("{error} {error:?}").contains(seed), "{error:?}");
    }
}
