//! What can be set about telling services who asks.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

/// Telling services who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct IdentitySettings {
    pub(crate) names: HeaderNames,
    /// Who signs assertions: the `iss` claim.
    pub(crate) issuer: String,
    /// The directory of the signing keys; made where it is missing. All nodes need the same.
    pub(crate) keys: PathBuf,
    /// How long an assertion counts. Default 60 seconds.
    pub(crate) lifetime: Duration,
    /// How often a new key begins to sign. Default 30 days.
    pub(crate) rotate_every: Duration,
}

/// The headers' names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HeaderNames {
    pub(crate) user: HeaderName,
    pub(crate) anonymous: HeaderName,
    pub(crate) session: HeaderName,
    pub(crate) roles: HeaderName,
    pub(crate) assertion: HeaderName,
}

impl Default for HeaderNames {
    fn default() -> Self {
        Self {
            user: HeaderName::from_static("x-user-id"),
            anonymous: HeaderName::from_static("x-anonymous-id"),
            session: HeaderName::from_static("x-session-key"),
            roles: HeaderName::from_static("x-user-roles"),
            assertion: HeaderName::from_static("x-identity"),
        }
    }
}

impl HeaderNames {
    /// All of them: what a client sends under one of these never gets through.
    pub(crate) fn all(&self) -> [&HeaderName; 5] {
        [&self.user, &self.anonymous, &self.session, &self.roles, &self.assertion]
    }
}
