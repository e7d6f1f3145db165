//! The reasons why sessions end.

/// Why a session ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Ended {
    /// Nobody used it for its idle timeout.
    Idle,
    /// It reached the end of its lifetime.
    Lifetime,
    /// Its user logged out.
    LoggedOut,
    /// Its user, the application or an administrator ended it from elsewhere.
    Revoked,
    /// Its user's newest login took the last seat.
    Displaced,
    /// Another user logged in under it, and got a session of their own.
    Replaced,
}

impl Ended {
    const NAMES: [(Self, &str); 6] = [
        (Self::Idle, "idle"),
        (Self::Lifetime, "lifetime"),
        (Self::LoggedOut, "logged_out"),
        (Self::Revoked, "revoked"),
        (Self::Displaced, "displaced"),
        (Self::Replaced, "replaced"),
    ];

    /// The word a reason is stored and logged under.
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .into_iter()
            .find(|(reason, _)| *reason == self)
            .map_or("revoked", |(_, name)| name)
    }

    /// The reason stored under `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map(|(reason, _)| reason)
    }
}
