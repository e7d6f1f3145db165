//! Who asks.

use std::fmt;
use std::sync::Arc;

use cloakroom_core::Key;
use cloakroom_jwt::Verified;
use http::HeaderValue;

/// Who asks, as the gateway has signed it. Clones are cheap.
///
/// `Debug` does not print the assertion.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    verified: Verified,
    assertion: HeaderValue,
}

impl Identity {
    /// `assertion`: what was verified.
    pub(crate) fn new(verified: Verified, mut assertion: HeaderValue) -> Self {
        assertion.set_sensitive(true);
        Self(Arc::new(Inner { verified, assertion }))
    }

    /// Who is signed in; `None` for a visitor.
    pub fn user(&self) -> Option<&str> {
        self.0.verified.principal()
    }

    /// What the user may be; none for a visitor.
    pub fn roles(&self) -> &[String] {
        self.0.verified.roles()
    }

    /// Whether `role` is among the [`roles`](Self::roles).
    pub fn has_role(&self, role: &str) -> bool {
        self.0.verified.has_role(role)
    }

    /// What a visitor is known by, or was before signing in.
    pub fn anonymous_id(&self) -> Option<&str> {
        self.0.verified.anonymous_id()
    }

    /// The session, by its key. It may have ended since.
    pub fn session(&self) -> Option<Key> {
        self.0.verified.session()
    }

    /// All that is signed.
    pub fn claims(&self) -> &Verified {
        &self.0.verified
    }

    /// What is passed on.
    pub(crate) fn assertion(&self) -> &HeaderValue {
        &self.0.assertion
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.0.verified).finish()
    }
}
