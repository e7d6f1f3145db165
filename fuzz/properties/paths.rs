//! What holds for every path that a client may send.

use super::path::{Folding, Path};
use super::pattern::Pattern;

/// What nobody may have.
const DENIED: &str = "internal";

/// Panics where reading does, where a path has two spellings, where a service that decodes the
/// forwarded one and resolves it again would end elsewhere than the rules have looked, or where it
/// would take a path for a denied one that the rules do not.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(raw) = std::str::from_utf8(bytes) else {
        return;
    };
    for folding in [Folding::Exact, Folding::Fold] {
        let Ok(path) = Path::parse(raw, folding) else {
            continue;
        };
        let text = path.as_str();
        let again = Path::parse(text, folding).expect("what is forwarded can be read");
        assert_eq!(again.as_str(), text, "a path has two spellings");
        assert!(text.starts_with('/'), "a path begins with no slash");
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "a path is not plain ASCII");
        assert!(!text.contains([';', '\\', '#', '?']), "a path has more than names");
        let seen = decoded(text);
        assert_eq!(resolved(&seen), seen, "a service ends elsewhere");
        assert!(!seen.iter().any(u8::is_ascii_control), "a control character is forwarded");
        assert!(!seen.contains(&b';'), "a service can cut a name short");
        decided_alike(&path, &seen, folding);
    }
}

/// Compares what a rule decides with what a service sees.
fn decided_alike(path: &Path, seen: &[u8], folding: Folding) {
    let rule = Pattern::parse(&format!("/{DENIED}/**"), folding).expect("a pattern");
    let first = seen.split(|byte| *byte == b'/').nth(1).unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    match folding {
        Folding::Exact => {
            assert_eq!(rule.matches(path), first == DENIED, "the rule and the service differ");
        }
        Folding::Fold => {
            let same = first.to_lowercase() == DENIED
                || first.to_uppercase() == DENIED.to_uppercase()
                || first.eq_ignore_ascii_case(DENIED);
            assert!(rule.matches(path) || !same, "a service that folds case passes the rule by");
        }
    }
}

/// The octets of a path, as a service reads them.
fn decoded(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut made: Vec<u8> = parts.next().unwrap_or_default().into();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        assert!(!digits.contains(|digit: char| digit.is_ascii_lowercase()), "an escape is small");
        made.push(u8::from_str_radix(digits, 16).expect("an escape has two digits"));
        made.extend(rest.bytes());
    }
    made
}

/// A decoded path without `.`, `..` and empty segments, where a service takes both slashes for one.
fn resolved(path: &[u8]) -> Vec<u8> {
    let mut names = Vec::new();
    let mut ends_in_a_name = false;
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        ends_in_a_name = !matches!(segment, b"" | b"." | b"..");
        if segment == b".." {
            names.pop();
        } else if ends_in_a_name {
            names.push(segment);
        }
    }
    let mut made: Vec<u8> = names.iter().flat_map(|name| [b"/", *name].concat()).collect();
    if !ends_in_a_name {
        made.push(b'/');
    }
    made
}
