//! What holds for every path that a client may send.

use super::path::{Folding, Path};

/// Panics where reading does, where a path has two spellings, or where a service that decodes the
/// forwarded one and resolves it again would end elsewhere than the rules have looked.
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
