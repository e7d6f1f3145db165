//! Finds paths that are spelled so that whoever reads it reads the same. Pure.
//!
//! A proxy forwards what its client wrote, not what was judged. So a path whose one spelling differs
//! by more than how letters are encoded is not admitted: the service behind might read it otherwise.

use crate::access::{Folding, Path};

/// The path that rules judge; `None` where `raw` is another by more than the encoding of letters and
/// digits that mean the same either way (RFC 3986, section 6.2.2).
pub(super) fn plain(raw: &str) -> Option<Path> {
    let judged = Path::parse(raw, Folding::Exact).ok()?;
    (normal(judged.as_str()) == normal(raw)).then_some(judged)
}

/// Percent-encoded letters, digits, `-`, `.`, `_` and `~` decoded, all other hexadecimal digits in
/// upper case.
fn normal(path: &str) -> Vec<u8> {
    let mut normal = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let encoded = (byte == b'%').then(|| after.split_at_checked(2)).flatten();
        let decoded = encoded.and_then(|(digits, _)| decode(digits));
        match (decoded, encoded) {
            (Some(byte), Some((_, after))) if is_unreserved(byte) => {
                normal.push(byte);
                rest = after;
            }
            (Some(_), Some((digits, after))) => {
                normal.push(b'%');
                normal.extend(digits.to_ascii_uppercase());
                rest = after;
            }
            _ => {
                normal.push(byte);
                rest = after;
            }
        }
    }
    normal
}

fn decode(digits: &[u8]) -> Option<u8> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_encoding_of_letters_may_differ() {
        for (one, other) in [
            ("/internal", "/%69nternal"),
            ("/%e4%bd%a0", "/%E4%BD%A0"),
            ("/~a", "/%7ea"),
            ("/100%", "/100%"),
            ("/%zz", "/%zz"),
            ("/%+1", "/%+1"),
        ] {
            assert_eq!(normal(one), normal(other), "{one} {other}");
        }
        for (one, other) in [
            ("/internal", "//internal"),
            ("/internal", "/Internal"),
            ("/a/b", "/a%2Fb"),
            ("/internal", "/a/../internal"),
            ("/internal", "/internal;x"),
            ("/internal", "/internal/"),
            ("/%2569", "/%69"),
        ] {
            assert_ne!(normal(one), normal(other), "{one} {other}");
        }
    }

    #[test]
    fn a_path_that_services_read_in_several_ways_is_not_plain() {
        for path in [
            "//internal",
            "/a/../internal",
            "/a/./internal",
            "/a/%2e%2e/internal",
            "/internal;x",
            "/a/..;/internal",
            "/internal%2fx",
            "/internal\\x",
            "/a%",
            "/a%00",
            "",
        ] {
            assert!(plain(path).is_none(), "{path}");
        }
    }

    #[test]
    fn ordinary_paths_are_plain() {
        for path in [
            "/",
            "/order/1/",
            "/%E4%BD%A0",
            "/%e4%bd%a0",
            "/a-b_c.d~e",
            "/a%20b",
            "/.well-known/x",
            "/a@b:c!$&'()*+,=d",
            "/a%24%26%2B%40%3A",
            "/100%25",
        ] {
            assert!(plain(path).is_some(), "{path}");
        }
    }
}
