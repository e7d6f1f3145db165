//! Numbers that nobody can guess, and texts of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of an id.
const ID: usize = 16;
/// Characters of an id.
pub(crate) const ID_TEXT: usize = 22;

/// Random bytes.
#[allow(clippy::expect_used, reason = "a machine without randomness cannot keep anybody's session")]
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// An id that nobody can guess and nobody has: 128 bits.
pub(crate) fn id() -> String {
    URL_SAFE_NO_PAD.encode(random::<ID>())
}

/// Whether a text has the form of an id.
pub(crate) fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() == ID_TEXT && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_all_different_and_known_by_their_form() {
        let ids: std::collections::BTreeSet<String> = (0..100).map(|_| id()).collect();
        assert_eq!(ids.len(), 100);
        assert!(ids.iter().all(|id| is_id(id)));
        for other in ["", "a", "aaaaaaaaaaaaaaaaaaaaa;", "aaaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(!is_id(other), "{other}");
        }
    }
}
