//! How names are written in a header, which has room for visible ASCII alone.

use http::HeaderValue;

/// Bytes in the longest header that is sent; what would be longer is left out. A service then knows
/// less of who asks, never more.
const LONGEST: usize = 4 * 1024;
const DIGITS: [u8; 16] = *b"0123456789ABCDEF";

/// A name as a header: visible ASCII as it is, all other bytes and `%` percent-encoded, so that no two
/// names are written alike. `None` where it is too long, or empty.
pub(super) fn name(name: &str) -> Option<HeaderValue> {
    if name.bytes().all(is_visible) {
        let fits = !name.is_empty() && name.len() <= LONGEST;
        return fits.then(|| HeaderValue::from_str(name).ok()).flatten();
    }
    let mut text = Vec::with_capacity(name.len());
    encode(name, b"", &mut text);
    value(text)
}

/// A list as a header: its names separated by commas; a comma within a name is percent-encoded.
/// `None` where it is too long, or empty.
pub(super) fn list(names: &[String]) -> Option<HeaderValue> {
    let mut text = Vec::new();
    for name in names.iter().filter(|name| !name.is_empty()) {
        if !text.is_empty() {
            text.push(b',');
        }
        encode(name, b",", &mut text);
    }
    value(text)
}

fn encode(name: &str, reserved: &[u8], text: &mut Vec<u8>) {
    for byte in name.bytes() {
        if is_visible(byte) && !reserved.contains(&byte) {
            text.push(byte);
        } else {
            text.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
}

const fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'%'
}

fn value(text: Vec<u8>) -> Option<HeaderValue> {
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_visible_ascii_stays_as_it_is() {
        for plain in ["alice", "alice+tag@example.com", "urn:user:1/2", "a,b", "\"q\""] {
            assert_eq!(name(plain).unwrap(), plain);
        }
    }

    #[test]
    fn everything_else_is_percent_encoded() {
        for (given, written) in [
            ("Jos\u{e9}", "Jos%C3%A9"),
            ("100%", "100%25"),
            (" alice ", "%20alice%20"),
            ("a\r\nX-User-Roles: admin", "a%0D%0AX-User-Roles:%20admin"),
            ("\0\x7f", "%00%7F"),
        ] {
            assert_eq!(name(given).unwrap(), written, "{given:?}");
        }
    }

    #[test]
    fn a_role_cannot_become_two() {
        let roles = ["clerk".to_owned(), "a,admin".to_owned(), String::new()];
        assert_eq!(list(&roles).unwrap(), "clerk,a%2Cadmin");
    }

    #[test]
    fn what_is_empty_or_too_long_is_left_out() {
        assert_eq!((name(""), list(&[])), (None, None));
        assert!(name(&"a".repeat(LONGEST)).is_some());
        assert_eq!(name(&"a".repeat(LONGEST + 1)), None);
        assert_eq!(name(&"\u{e9}".repeat(LONGEST / 4)), None);
    }
}
