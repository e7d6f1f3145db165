//! What holds for every text that claims to be a token or a key.

use cloakroom_core::{Key, Token};

/// Panics where reading does, or where a text that reads is not the only spelling of what it
/// means: then two texts would open one session.
pub(crate) fn holds(bytes: &[u8]) {
    if let Some(token) = Token::parse(bytes) {
        assert_eq!(token.reveal().as_bytes(), bytes, "a token has another spelling");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = text.parse::<Key>() {
        assert_eq!(key.to_string(), text, "a key has another spelling");
    }
}
