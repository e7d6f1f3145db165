//! The session as a handler takes it.

use std::fmt;
use std::ops::Deref;

/// The session of the request: an extractor in axum's handlers, and otherwise what
/// [`session`](fn@crate::session) gives.
///
/// It may be empty, and is stored when it is first written to. `Option<Session>` is `Some` only
/// where one is stored. Everything that can be done with it is at
/// [`cloakroom_core::Session`].
#[derive(Clone)]
pub struct Session(cloakroom_core::Session);

/// Who is signed in, as an extractor: 401 where nobody is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SignedIn(pub String);

impl Deref for Session {
    type Target = cloakroom_core::Session;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl From<cloakroom_core::Session> for Session {
    fn from(session: cloakroom_core::Session) -> Self {
        Self(session)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
