//! Key files, good and bad; which key seals when.

use super::*;

fn line(id: &str) -> String {
    KeyRing::new_line(id).unwrap().trim().to_owned()
}

#[test]
fn the_latest_key_that_seals_already_seals_and_all_are_found() {
    let text = format!(
        "# keys\n\n{}\n{} 2026-12-01T06:00:00Z\n  {} 2026-01-01\n",
        line("a"),
        line("b"),
        line("c")
    );
    let ring = KeyRing::parse(&text).unwrap();
    assert_eq!(ring.ids(), ["a", "b", "c"]);
    let sealing = |date: &str| ring.sealing(parse_date(date).unwrap()).unwrap();
    assert_eq!(sealing("2025-12-31T23:59:59Z"), "a");
    assert_eq!(sealing("2026-01-01"), "c");
    assert_eq!(sealing("2026-12-01T05:59:59Z"), "c");
    assert_eq!(sealing("2026-12-01T06:00:00Z"), "b");
}

#[test]
fn of_two_with_one_date_the_later_line_seals_and_none_is_too_early() {
    let ring = KeyRing::parse(&format!("{}\n{}", line("a"), line("b"))).unwrap();
    assert_eq!(ring.sealing(Timestamp::EPOCH).unwrap(), "b");
    let future = format!("{} 2030-01-01\n{} 2029-01-01", line("a"), line("b"));
    let ring = KeyRing::parse(&future).unwrap();
    assert_eq!(ring.sealing(Timestamp::EPOCH).unwrap(), "b", "somebody has to seal");
}

#[test]
fn dates_are_days_and_seconds_of_utc() {
    let millis = |text| parse_date(text).map(Timestamp::millis);
    assert_eq!(millis("1970-01-01"), Some(0));
    assert_eq!(millis("2000-02-29T12:34:56Z"), Some(951_827_696_000));
    assert_eq!(millis("2026-11-20T14:00:00Z"), Some(1_795_183_200_000));
    for bad in [
        "",
        "2026",
        "2026-1-1",
        "2026-13-01",
        "2026-02-29",
        "2026-00-01",
        "2026-01-00",
        "2026-01-01T00:00:00",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00+01:00",
        "1969-12-31",
        "2026-01-01-01",
        "+026-01-01",
        "tomorrow",
    ] {
        assert_eq!(parse_date(bad), None, "{bad}");
    }
}

#[test]
fn an_error_names_the_line_and_never_the_key() {
    let good = line("a");
    let key = good.split(' ').nth(1).unwrap();
    let zeros = format!("b {}", general_purpose::STANDARD.encode([0; 32]));
    for (bad, says) in [
        (format!("b {key}=x"), "base64"),
        (format!("b {key}{key}"), "32 bytes"),
        ("b c2hvcnQ=".to_owned(), "32 bytes"),
        (zeros, "not random"),
        ("b".to_owned(), "no key"),
        (format!("é {key}"), "a name has"),
        (format!("b {key} soon"), "the date"),
        (format!("b {key} 2026-01-01 x"), "more behind"),
        (format!("b {key}"), "the same key"),
        (line("a"), "another key"),
    ] {
        let error = KeyRing::parse(&format!("{good}\n{bad}\n")).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("line 2") && said.contains(says), "{bad}: {said}");
        assert!(!said.contains(&key[..8]), "{said}");
    }
    assert!(matches!(KeyRing::parse("# none\n"), Err(BadKeys::None)));
    let many: Vec<String> = (0..=MOST_KEYS).map(|n| line(&format!("k{n}"))).collect();
    assert!(matches!(KeyRing::parse(&many.join("\n")), Err(BadKeys::TooMany { found: 65 })));
    assert!(KeyRing::new_line("two words").is_err());
}

#[test]
fn debug_prints_names_only() {
    let text = line("name-of-it");
    let key = text.split(' ').nth(1).unwrap();
    let said = format!("{:?}", KeyRing::parse(&text).unwrap());
    assert!(said.contains("name-of-it") && !said.contains(&key[..8]), "{said}");
}

#[test]
fn clones_are_one_ring() {
    let ring = KeyRing::parse(&line("old")).unwrap();
    let clone = ring.clone();
    ring.replace(&KeyRing::parse(&line("new")).unwrap());
    assert_eq!(clone.ids(), ["new"]);
    ring.replace(&clone);
    assert_eq!(clone.ids(), ["new"], "a ring may be replaced by itself");
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_is_refused() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("cloakroom-keys-{}", std::process::id()));
    fs::write(&path, line("a")).unwrap();
    let with_mode = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        KeyRing::read(&path)
    };
    for mode in [0o644, 0o640, 0o604, 0o660, 0o601] {
        let refused = with_mode(mode);
        assert!(matches!(refused, Err(BadKeys::OpenToOthers { mode: found }) if found == mode));
    }
    let read = with_mode(0o600).map(|ring| ring.ids());
    fs::write(&path, b"\xff\xfe").unwrap();
    let not_text = KeyRing::read(&path).map(|ring| ring.ids());
    fs::remove_file(&path).unwrap();
    assert_eq!(read.unwrap(), ["a"]);
    assert!(matches!(not_text, Err(BadKeys::Line { why: "the file is not text", .. })));
    assert!(matches!(KeyRing::read(&path), Err(BadKeys::Unreadable(_))));
}
