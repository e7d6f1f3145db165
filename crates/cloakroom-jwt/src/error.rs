//! Why a key cannot be used or an identity not be signed, and why a token is refused.

use std::io;
use std::path::PathBuf;

/// What is wrong with a key, with a set of keys or with an identity. No variant carries any of
/// their content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key's file cannot be read or written.
    #[error("the key file {} cannot be {done}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was to be done with it.
        done: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A private key's file can be used by more users than its owner and those of its group who
    /// may read it.
    #[error(
        "the key file {} has the permissions {mode:03o}, so others can use it: \
         chmod 600 (or 640), and sign with another key if they may have read it",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions, as `chmod` names them.
        mode: u32,
    },
    /// The text or the bytes are no key that can be used here.
    #[error("not a usable key: {0}")]
    NotAKey(&'static str),
    /// The text is no JWKS, or one that cannot be trusted.
    #[error("not a usable JWKS: {0}")]
    NotAKeySet(&'static str),
    /// The identity cannot be put into a token.
    #[error("this identity cannot be signed: {0}")]
    Unsignable(&'static str),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

/// Why a token is not admitted. No variant repeats any of its content: what was not verified is
/// anybody's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Longer than [`LONGEST_TOKEN`](crate::LONGEST_TOKEN).
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of base64url, or a header that is no JSON object with every name once.
    #[error("this is not a signed token")]
    Malformed,
    /// The header asks for what is never done: `crit`, a key inside the token, a nested token.
    #[error("the token's header has `{0}`, which is not admitted")]
    Header(&'static str),
    /// The header's `typ` is missing or another one.
    #[error("the token is of another type")]
    Type,
    /// The key that the header names is not known, or it names none. Where the keys may have
    /// changed, fetch them; a client can cause this at will, so not more often than every few
    /// seconds.
    #[error("the token is signed with a key that is not known")]
    UnknownKey,
    /// The header's `alg` is not the algorithm of the key that it names.
    #[error("the token's algorithm is not that of its key")]
    Algorithm,
    /// The signature is not that key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim is missing, twice there, or not of its type. Only a signer can cause this.
    #[error("the token's claim `{0}` is missing or wrong")]
    Claim(&'static str),
    /// It was made by somebody else than the issuer that is expected.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not begun: the signer's clock is ahead of ours.
    #[error("the token is not valid yet")]
    NotYet,
    /// It is meant to live for longer than is admitted here.
    #[error("the token lives for too long")]
    TooLongLived,
}
