//! Who is at the other end of a request, as rules ask and as services are told.

use std::sync::Arc;

use cloakroom::{Key, Timestamp};

/// Whoever asks. By default nobody that is known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Visitor {
    /// Who is signed in.
    pub(crate) user: Option<User>,
    /// The id of a visitor before the login. Beside a user: the same visitor's, on the first request
    /// after it.
    pub(crate) anonymous: Option<Arc<str>>,
}

/// Somebody who is signed in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct User {
    /// The principal.
    pub(crate) id: String,
    /// What they may do.
    pub(crate) roles: Vec<String>,
    /// The session that says so.
    pub(crate) session: Option<Key>,
    /// Since when.
    pub(crate) authenticated_at: Option<Timestamp>,
}

impl Visitor {
    /// What leads this visitor to the same server again, where anything does.
    pub(crate) fn affinity(&self) -> Option<String> {
        let session = self.user.as_ref().and_then(|user| user.session);
        let anonymous = || self.anonymous.as_deref().map(str::to_owned);
        session.map(|key| key.to_string()).or_else(anonymous)
    }
}
