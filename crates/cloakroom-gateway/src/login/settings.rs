//! What can be set about logins.

use std::path::PathBuf;
use std::time::Duration;

/// Logins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LoginSettings {
    /// The database of the users: an URL of SQLite, PostgreSQL or MySQL. May hold a password: never
    /// shown as it is.
    pub(crate) users: UsersUrl,
    pub(crate) theme: Theme,
    pub(crate) throttling: Throttling,
    /// How long a login lives that is to be remembered; `None`: nobody is asked.
    pub(crate) remember: Option<Duration>,
    pub(crate) binding: Binding,
    /// Other hosts of ours that one may come from and go back to after a login, by HTTPS.
    pub(crate) return_hosts: Vec<String>,
    /// A MaxMind database that tells places by addresses, for the list of a user's sessions: its file.
    pub(crate) places: Option<PathBuf>,
}

/// An address that may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UsersUrl(pub(crate) String);

/// How the pages look.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Theme {
    /// The name above the form; by default "Sign in" alone.
    pub(crate) title: Option<String>,
    /// A CSS colour such as `#0a7`, checked.
    pub(crate) accent: Option<String>,
    /// An image beside the name: its file.
    pub(crate) logo: Option<PathBuf>,
    /// A style sheet after ours: its file.
    pub(crate) style: Option<PathBuf>,
}

/// How fast passwords may be tried, counted over all nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Throttling {
    /// Wrong passwords in a row for one account before it has to wait. Default 10.
    pub(crate) account: u32,
    /// From one address. Of IPv6 the 56 bits that one line has count as one; the 48 bits around it may
    /// try four times as often. The same holds for `account`. Default 30.
    pub(crate) address: u32,
    /// The time in which so many tries are given back. Default 15 minutes.
    pub(crate) window: Duration,
}

/// Whether a session is for the address that it was signed in from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Binding {
    /// It goes anywhere.
    #[default]
    Off,
    /// For just that address.
    Exact,
    /// For its network: 24 bits of IPv4, 56 of IPv6.
    Prefix,
}

impl Default for Throttling {
    fn default() -> Self {
        Self { account: 10, address: 30, window: Duration::from_secs(15 * 60) }
    }
}

impl std::fmt::Debug for UsersUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UsersUrl(..)")
    }
}
