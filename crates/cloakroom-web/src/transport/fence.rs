//! The fence: the version of its session that a client saw last. It travels beside the token, lives
//! a few seconds, and keeps a client from being shown an older one by a node that reads from a
//! cache.

use http::HeaderName;

/// Carries it, both ways, where tokens travel in headers.
pub(super) const HEADER: HeaderName = HeaderName::from_static("cloakroom-version");
/// Ends the name of the cookie that carries it.
pub(super) const SUFFIX: &str = "-v";

/// Reads a version. What is none says nothing.
pub(super) fn parse(text: &[u8]) -> Option<u64> {
    let digits = text.iter().all(u8::is_ascii_digit);
    str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_a_version() {
        assert_eq!(parse(b"0"), Some(0));
        assert_eq!(parse(b"18446744073709551615"), Some(u64::MAX));
        for none in [&b""[..], b"+1", b"-1", b" 1", b"1a", b"18446744073709551616", b"\xff"] {
            assert_eq!(parse(none), None);
        }
    }
}
