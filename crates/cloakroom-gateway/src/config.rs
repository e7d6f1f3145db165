//! The configuration: what the file says, what it means, and where it is wrong.

mod read;
mod reload;
mod section;
mod source;
mod suggest;
mod surroundings;
mod trouble;
mod words;

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cloakroom::{Network, Policy, StoreUrl};

use crate::access::{Access, Folding, Rule, Rules};
use crate::fault::Fault;
use crate::identity::{HeaderNames, IdentitySettings};
use crate::login::{LoginSettings, UsersUrl};
use crate::proxy::UpstreamSettings;
use crate::serve::{Limits, Listen};
use source::Source;
use surroundings::Surroundings;

#[cfg(test)]
pub(crate) use read::plain_upstream;
pub(crate) use reload::Reload;
pub(crate) use trouble::BadConfig;

/// The file's name where none is named.
pub(crate) const DEFAULT_FILE: &str = "cloakroom.toml";
/// A file with everything that can be set, as `cloakroom init` writes it.
pub(crate) const TEMPLATE: &str = include_str!("config/template.toml");
/// Where sessions are where nothing else is said.
const DEFAULT_STORE_URL: &str = "sqlite://sessions.db";
/// The file of sessions and users where there is no configuration.
pub(crate) const DEFAULT_STORE: &str = "sessions.db";
const DEFAULT_USERS: &str = "sqlite://users.db";
const DEFAULT_KEYS: &str = "keys";
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080));
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// The most bytes of a file that is read as a configuration.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

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

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            name: "id".to_owned(),
            domain: None,
            persistent: false,
            insecure_plain_http: false,
            token_header: None,
        }
    }
}

/// A configuration that can be used, and what in it is worth a second look.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) warnings: Vec<String>,
    source: Source,
}

impl Config {
    /// Reads a file. An error shows all that is wrong with it, each in its place.
    pub(crate) fn load(path: &Path) -> Result<Loaded, BadConfig> {
        meant(path, text(path)?)
    }

    /// What is served with no file: everything goes to one server, and everything asks for a login.
    /// Sessions, users and keys are in `dir`.
    pub(crate) fn without_file(
        upstream: &str,
        listen: SocketAddr,
        dir: &Path,
    ) -> Result<Self, Fault> {
        let server = read::server(upstream).map_err(|bad| {
            Fault::usage(bad.to_string()).hint("write --upstream http://127.0.0.1:3000")
        })?;
        let listen = vec![Listen { address: listen, tls: None }];
        if read::is_own(&server, &listen) {
            return Err(Fault::usage("this upstream is the gateway itself: it listens there")
                .hint("name the service behind it with --upstream, or another --listen"));
        }
        let Some(store) = dir.join(DEFAULT_STORE).to_str().map(|path| format!("sqlite://{path}"))
        else {
            return Err(Fault::usage("the directory's name is not valid Unicode"));
        };
        let upstream = read::plain_upstream("app", server);
        let rule = Rule {
            upstream: Some(Arc::clone(&upstream.name)),
            ..Rule::for_everything(Access::Login)
        };
        let users = UsersUrl(store.clone());
        Ok(Self {
            store: StoreUrl::parse(&store).map_err(|error| Fault::new(error.to_string()))?,
            policy: Policy::default(),
            cookie: CookieSettings::default(),
            listen,
            workers: None,
            limits: Limits::default(),
            trusted_proxies: Vec::new(),
            hosts: Vec::new(),
            folding: Folding::default(),
            rules: Rules::new([rule]),
            upstreams: vec![upstream],
            login: read::login_with(users),
            identity: default_identity(dir.join(DEFAULT_KEYS)),
            forward_auth: Vec::new(),
            sweep_every: SWEEP_EVERY,
        })
    }
}

fn default_identity(keys: PathBuf) -> IdentitySettings {
    IdentitySettings {
        names: HeaderNames::default(),
        issuer: "cloakroom".to_owned(),
        keys,
        lifetime: Duration::from_secs(60),
        rotate_every: Duration::from_secs(30 * 24 * 60 * 60),
    }
}

/// What the text of the file at `path` means.
fn meant(path: &Path, text: String) -> Result<Loaded, BadConfig> {
    let source = Source { name: path.display().to_string(), text };
    let folder = path.parent().unwrap_or(Path::new(""));
    read::read(source, Surroundings::of_process(folder))
}

/// The text of the file at `path`.
fn text(path: &Path) -> Result<String, BadConfig> {
    let bad =
        |why: &str, help: &str| BadConfig::of_file(format!("{} {why}; {help}", path.display()));
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(read) if read as u64 > MOST_BYTES => {
            Err(bad("is too large for a configuration", "name the right file with --config"))
        }
        Ok(_) => {
            String::from_utf8(bytes).map_err(|_| bad("is not valid UTF-8", "save it as UTF-8"))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(bad("is not there", "`cloakroom init` writes one"))
        }
        Err(error) => Err(bad(&format!("cannot be read: {error}"), "see to its permissions")),
    }
}

#[cfg(test)]
mod tests;
