//! What a client holds: a token, made of a key that may be logged and a secret that may not.

use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Bytes in a key and in a secret: 144 bits each, which fill 24 characters of base64 exactly, so
/// every value has one spelling.
const LEN: usize = 18;
const TEXT_LEN: usize = 24;

/// What a record is kept for. Listing and ending in bulk name one kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// A visitor's or a user's session.
    Session,
    /// Attributes that all sessions of an application share.
    Application,
    /// A login that is under way.
    Flow,
    /// A ticket that is used once.
    Ticket,
    /// A counter that slows guessing down.
    Throttle,
}

impl Kind {
    /// Every kind there is.
    pub const ALL: [Self; 5] =
        [Self::Session, Self::Application, Self::Flow, Self::Ticket, Self::Throttle];

    /// The letter a kind is stored under.
    pub const fn letter(self) -> char {
        match self {
            Self::Session => 's',
            Self::Application => 'a',
            Self::Flow => 'f',
            Self::Ticket => 't',
            Self::Throttle => 'h',
        }
    }

    /// The kind stored under `letter`.
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.letter() == letter)
    }
}

/// Names one record. Not a secret: it may be logged, listed and put into a URL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    kind: Kind,
    id: [u8; LEN],
}

impl Key {
    /// A key that nobody can guess and nobody has.
    pub fn random(kind: Kind) -> Self {
        Self { kind, id: random() }
    }

    /// The key that `name` always leads to, for records found by name.
    pub fn named(kind: Kind, name: &str) -> Self {
        let digest = Sha256::digest(name.as_bytes());
        let mut id = [0; LEN];
        id.copy_from_slice(&digest[..LEN]);
        Self { kind, id }
    }

    /// The key of a kind that sorts before every other.
    pub const fn lowest(kind: Kind) -> Self {
        Self { kind, id: [0; LEN] }
    }

    /// Rebuilds a key from what a store keeps of it; `None` where `id` has another length.
    pub fn from_bytes(kind: Kind, id: &[u8]) -> Option<Self> {
        Some(Self { kind, id: id.try_into().ok()? })
    }

    /// What the key is for.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The key without its kind, as a store keeps it.
    pub const fn as_bytes(&self) -> &[u8; LEN] {
        &self.id
    }
}

impl Hash for Key {
    /// As whole numbers, which hash faster than bytes: a commit looks its key up many times.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (words, rest) = self.id.as_chunks();
        for word in words {
            state.write_u64(u64::from_ne_bytes(*word));
        }
        let last = rest.iter().fold(self.kind as u32, |last, byte| last << 8 | u32::from(*byte));
        state.write_u32(last);
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut id = [0; TEXT_LEN];
        // The text of an id has just this length.
        URL_SAFE_NO_PAD.encode_slice(self.id, &mut id).map_err(|_| fmt::Error)?;
        f.write_char(self.kind.letter())?;
        f.write_char('-')?;
        f.write_str(str::from_utf8(&id).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a key: a letter for the kind, `-`, 24 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a key: expected a letter, a hyphen and {TEXT_LEN} characters of base64url")]
pub struct NotAKey;

impl FromStr for Key {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let (kind, id) = text.split_once('-').ok_or(NotAKey)?;
        let mut letters = kind.chars();
        let (Some(letter), None) = (letters.next(), letters.next()) else {
            return Err(NotAKey);
        };
        let kind = Kind::from_letter(letter).ok_or(NotAKey)?;
        Ok(Self { kind, id: decode(id.as_bytes()).ok_or(NotAKey)? })
    }
}

/// The half of a token that proves its holder. Never stored, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; LEN]);

impl Secret {
    /// A secret that nobody can guess.
    pub fn random() -> Self {
        Self(random())
    }

    /// What a store may keep of this secret.
    pub fn proof(&self) -> Proof {
        Proof(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// SHA-256 of a [`Secret`]: enough to recognise it, useless to present.
///
/// Compared in plain time: an attacker cannot steer a digest's bytes without the secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proof([u8; 32]);

impl Proof {
    /// Rebuilds a proof from what a store keeps.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// As a store keeps it.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(..)")
    }
}

/// What a client presents: a session's key and the secret that opens it.
///
/// As text it is 48 characters of base64url that mean nothing to anybody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    key: Key,
    secret: Secret,
}

impl Token {
    /// Characters in a token's text, always.
    pub const TEXT_LEN: usize = 2 * TEXT_LEN;

    /// Puts a session's key and secret together.
    pub const fn new(key: Key, secret: Secret) -> Self {
        Self { key, secret }
    }

    /// Reads a session's token. `None` for a wrong length or alphabet: such a text never was a
    /// token, and no store is asked about it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != Self::TEXT_LEN {
            return None;
        }
        // Both at once: neither's text ends within a byte.
        let bytes: [u8; 2 * LEN] = decode(text)?;
        let (id, secret) = bytes.split_at(LEN);
        Some(Self {
            key: Key::from_bytes(Kind::Session, id)?,
            secret: Secret(secret.try_into().ok()?),
        })
    }

    /// The session's key.
    pub const fn key(&self) -> Key {
        self.key
    }

    /// What a store keeps of the secret.
    pub fn proof(&self) -> Proof {
        self.secret.proof()
    }

    /// The text to hand to the client, and to nobody else.
    pub fn reveal(&self) -> String {
        let mut text = String::with_capacity(Self::TEXT_LEN);
        URL_SAFE_NO_PAD.encode_string(self.key.id, &mut text);
        URL_SAFE_NO_PAD.encode_string(self.secret.0, &mut text);
        text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, ..)", self.key)
    }
}

fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let written = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    (written == N).then_some(bytes)
}

/// Fills an array from the operating system's generator.
#[expect(
    clippy::expect_used,
    reason = "a machine without randomness cannot keep anybody's session"
)]
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_as_itself() {
        let token = Token::new(Key::random(Kind::Session), Secret::random());
        let text = token.reveal();
        assert_eq!(text.len(), Token::TEXT_LEN);
        assert_eq!(Token::parse(text.as_bytes()), Some(token));
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        let good = Token::new(Key::random(Kind::Session), Secret::random()).reveal();
        let mut longer = good.clone();
        longer.push('A');
        for bad in ["", "A", &good[1..], &longer, &good.replace(&good[..1], "+"), &"=".repeat(48)] {
            assert_eq!(Token::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Token::parse(&[0xff; 48]), None);
    }

    #[test]
    fn a_key_reads_back_as_itself_and_nothing_else_does() {
        for kind in Kind::ALL {
            let key = Key::random(kind);
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for bad in
            ["", "s", "s-", "x-AAAAAAAAAAAAAAAAAAAAAAAA", "ss-AAAAAAAAAAAAAAAAAAAAAAAA", "é-A"]
        {
            assert_eq!(bad.parse::<Key>(), Err(NotAKey), "{bad}");
        }
    }

    #[test]
    fn debug_prints_no_secret() {
        let token = Token::new(Key::random(Kind::Session), Secret::random());
        let secret = &token.reveal()[TEXT_LEN..];
        assert!(!format!("{token:?} {:?} {:?}", token.secret, token.proof()).contains(secret));
    }
}
