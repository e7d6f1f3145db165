//! The configuration: what the file says, what it means, and where it is wrong.

use std::time::Duration;

use cloakroom::{Network, Policy, StoreUrl};

use crate::access::{Folding, Rules};
use crate::identity::IdentitySettings;
use crate::login::LoginSettings;
use crate::proxy::UpstreamSettings;
use crate::serve::{Limits, Listen};

/// What a configuration means. Nothing in it is unchecked.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Taken up at the start only, as are `policy`, `cookie` and `listen`.
    pub(crate) store: StoreUrl,
    pub(crate) policy: Policy,
    pub(crate) cookie: CookieSettings,
    pub(crate) listen: Vec<Listen>,
    /// Threads that serve; `None`: one for each core.
    pub(crate) workers: Option<usize>,
    pub(crate) limits: Limits,
    pub(crate) trusted_proxies: Vec<Network>,
    /// The hosts that the gateway answers to; empty: to any.
    pub(crate) hosts: Vec<String>,
    pub(crate) folding: Folding,
    pub(crate) rules: Rules,
    pub(crate) upstreams: Vec<UpstreamSettings>,
    pub(crate) login: LoginSettings,
    pub(crate) identity: IdentitySettings,
    /// Who may use the forward-auth endpoints: the proxies' own addresses.
    pub(crate) forward_auth: Vec<Network>,
    /// How often expired sessions are swept.
    pub(crate) sweep_every: Duration,
}

/// The session's cookie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CookieSettings {
    /// Without its prefix.
    pub(crate) name: String,
    /// Shared with all hosts under this domain.
    pub(crate) domain: Option<String>,
    /// Whether it is kept when the browser is closed.
    pub(crate) persistent: bool,
    /// Sends it over plain HTTP as well.
    pub(crate) insecure_plain_http: bool,
    /// Another header for tokens than `Authorization: Bearer`.
    pub(crate) token_header: Option<http::HeaderName>,
}
