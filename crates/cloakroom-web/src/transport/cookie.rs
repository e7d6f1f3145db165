//! The session's cookie: what it may be, and what is sent of it. RFC 6265bis.

use std::fmt::Write;
use std::time::Duration;

use cloakroom_core::{Reply, Timestamp, Token};

use super::Recipient;
use super::fence::SUFFIX;

/// The longest lifetime that a browser honours: 400 days (RFC 6265bis, section 5.5).
const LONGEST_AGE: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// The most bytes of a whole cookie. Browsers drop what is larger without a word.
const MOST_BYTES: usize = 4096;
/// The most bytes of one attribute's value.
const MOST_ATTRIBUTE_BYTES: usize = 1024;
/// Bytes of `; Max-Age=` and of the longest lifetime.
const AGE_BYTES: usize = 10 + 8;
/// Bytes of `; Secure; Partitioned`, and one.
const MOST_FLAGS: usize = 24;
const HOST: &str = "__Host-";
const SECURE: &str = "__Secure-";

/// Which requests from other sites carry the cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SameSite {
    /// Only navigations that change nothing.
    #[default]
    Lax,
    /// None.
    Strict,
    /// All. The cookie has to be secure.
    None,
}

/// On which responses the cookie is marked `Secure`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Secure {
    /// On all of them, whatever the request came by. Browsers take such a cookie over plain HTTP
    /// from `localhost` only.
    #[default]
    Always,
    /// Where the request came by HTTPS: as its own scheme says, or `X-Forwarded-Proto` from a
    /// trusted proxy.
    WhenHttps,
    /// On none.
    Never,
}

/// A session's cookie, and beside it, where nodes read from a cache, one of a few seconds with `-v`
/// after its name that carries a version. By default `__Host-id`: for this host and all its paths, `Secure`,
/// `HttpOnly`, `SameSite=Lax`, kept until the browser is closed.
///
/// ```
/// use cloakroom_web::{CookieConfig, SameSite, Transport};
///
/// let cookie = CookieConfig::new("shop").same_site(SameSite::Strict).persistent(true);
/// let transport = Transport::cookie(cookie)?;
/// # Ok::<_, cloakroom_web::BadCookie>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct CookieConfig {
    name: String,
    path: String,
    domain: Option<String>,
    same_site: SameSite,
    http_only: bool,
    partitioned: bool,
    persistent: bool,
    secure: Secure,
    prefixed: bool,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self::new("id")
    }
}

impl CookieConfig {
    /// A cookie with the defaults, called `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".to_owned(),
            domain: None,
            same_site: SameSite::default(),
            http_only: true,
            partitioned: false,
            persistent: false,
            secure: Secure::default(),
            prefixed: true,
        }
    }

    /// Sends the cookie to this path and to what is below it only. Other paths of the same host can
    /// still reach it: this keeps applications apart, not attackers.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Shares the cookie with all hosts under `domain`. Each of them can then plant one.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets which requests from other sites carry the cookie.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Hides the cookie from scripts, or does not.
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Gives every top-level site that embeds this one a cookie of its own (CHIPS).
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Keeps the cookie when the browser is closed, for as long as the session can live, and for
    /// 400 days at the most.
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// Sets when the cookie is marked `Secure`.
    pub fn secure(mut self, secure: Secure) -> Self {
        self.secure = secure;
        self
    }

    /// Never marks the cookie `Secure`: whoever listens on the wire has the session. For
    /// development without TLS.
    pub fn insecure_plain_http(self) -> Self {
        self.secure(Secure::Never)
    }

    /// Puts `__Host-` before the name where the rules for it hold, else `__Secure-` where those do;
    /// or does not. On by default: such a cookie cannot be planted by another host.
    pub fn prefixed(mut self, prefixed: bool) -> Self {
        self.prefixed = prefixed;
        self
    }

    /// Checks everything, and writes down what does not change.
    pub(super) fn build(self) -> Result<Cookie, BadCookie> {
        self.check()?;
        let name = self.full_name();
        let cookie = Cookie {
            fence_name: format!("{name}{SUFFIX}"),
            name,
            attributes: self.attributes(),
            partitioned: self.partitioned,
            persistent: self.persistent,
            secure: self.secure,
        };
        let bytes = cookie.longest();
        if bytes > MOST_BYTES {
            return Err(BadCookie::TooLarge { bytes });
        }
        Ok(cookie)
    }

    fn check(&self) -> Result<(), BadCookie> {
        if self.name.is_empty() || !self.name.bytes().all(is_token) {
            return Err(BadCookie::Name);
        }
        let plain = |byte: u8| matches!(byte, 0x20..=0x7e) && byte != b';';
        let path = &self.path;
        if !path.starts_with('/') || path.len() > MOST_ATTRIBUTE_BYTES || !path.bytes().all(plain) {
            return Err(BadCookie::Path);
        }
        if self.domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
            return Err(BadCookie::Domain);
        }
        let always = self.secure == Secure::Always;
        if self.same_site == SameSite::None && !always {
            return Err(BadCookie::SameSiteNoneNeedsSecure);
        }
        if self.partitioned && !always {
            return Err(BadCookie::PartitionedNeedsSecure);
        }
        if has_prefix(&self.name, HOST) && !self.may_be_host() {
            return Err(BadCookie::HostPrefix);
        }
        if has_prefix(&self.name, SECURE) && !always {
            return Err(BadCookie::SecurePrefix);
        }
        Ok(())
    }

    fn may_be_host(&self) -> bool {
        self.secure == Secure::Always && self.path == "/" && self.domain.is_none()
    }

    fn full_name(&self) -> String {
        let name = &self.name;
        if !self.prefixed || has_prefix(name, HOST) || has_prefix(name, SECURE) {
            name.clone()
        } else if self.may_be_host() {
            format!("{HOST}{name}")
        } else if self.secure == Secure::Always {
            format!("{SECURE}{name}")
        } else {
            name.clone()
        }
    }

    fn attributes(&self) -> String {
        let mut text = format!("; Path={}", self.path);
        if let Some(domain) = &self.domain {
            text.push_str("; Domain=");
            text.push_str(domain);
        }
        text.push_str(match self.same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        });
        if self.http_only {
            text.push_str("; HttpOnly");
        }
        text
    }
}

/// Browsers match a prefix in any case.
fn has_prefix(name: &str, prefix: &str) -> bool {
    let start = name.as_bytes().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// A character of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        let letters = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        letters && !label.is_empty() && label.len() < 64
    };
    domain.len() <= 253 && domain.split('.').all(label)
}

/// A cookie that no browser would keep, or not as it is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadCookie {
    /// The name is empty, or has a character that no name may have.
    #[error("the cookie's name must be letters, digits and any of !#$%&'*+-.^_`|~")]
    Name,
    /// The path is none.
    #[error("the cookie's path must begin with `/` and hold only printable ASCII without `;`")]
    Path,
    /// The domain is none.
    #[error("the cookie's domain must be a host's name, without a dot before it")]
    Domain,
    /// Browsers drop `SameSite=None` without `Secure`.
    #[error("a cookie with SameSite=None must always be Secure")]
    SameSiteNoneNeedsSecure,
    /// Browsers drop `Partitioned` without `Secure`.
    #[error("a partitioned cookie must always be Secure")]
    PartitionedNeedsSecure,
    /// The name says `__Host-` and the rules for that do not hold.
    #[error("a cookie called __Host- must always be Secure, with the path `/` and no domain")]
    HostPrefix,
    /// The name says `__Secure-` and the cookie is not.
    #[error("a cookie called __Secure- must always be Secure")]
    SecurePrefix,
    /// Name, value and attributes together are larger than browsers keep.
    #[error("the cookie would have {bytes} bytes; browsers drop more than {MOST_BYTES}")]
    TooLarge {
        /// How many it would have.
        bytes: usize,
    },
}

/// A checked cookie.
#[derive(Clone, Debug)]
pub(super) struct Cookie {
    name: String,
    fence_name: String,
    /// Those that are the same on every response.
    attributes: String,
    partitioned: bool,
    persistent: bool,
    secure: Secure,
}

impl Cookie {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What `Set-Cookie` says.
    pub(super) fn set(&self, reply: &Reply, to: &Recipient) -> String {
        match reply {
            Reply::Send { token, ends_at } => {
                self.text(&Token::reveal(token), self.age(*ends_at, to), to.https)
            }
            Reply::Seal { text, ends_at } => {
                self.text(text.reveal(), self.age(*ends_at, to), to.https)
            }
            Reply::Clear => self.text("", Some(Duration::ZERO), to.https),
        }
    }

    /// For how long it is kept, where it outlives the browser.
    fn age(&self, ends_at: Option<Timestamp>, to: &Recipient) -> Option<Duration> {
        let left = ends_at.map_or(LONGEST_AGE, |end| end.since(to.now).min(LONGEST_AGE));
        (self.persistent || to.remembered).then_some(left)
    }

    /// How many bytes its value may have.
    #[cfg(feature = "sealed")]
    pub(super) fn room(&self) -> usize {
        MOST_BYTES.saturating_sub(self.text("", None, true).len() + AGE_BYTES)
    }

    /// Whether it is marked by how the request came.
    pub(super) fn asks_for_https(&self) -> bool {
        self.secure == Secure::WhenHttps
    }

    /// The name of the cookie that carries the fence.
    pub(super) fn fence_name(&self) -> &str {
        &self.fence_name
    }

    /// What `Set-Cookie` says of the fence.
    pub(super) fn fence(&self, version: u64, lifetime: Duration, https: bool) -> String {
        // Whole seconds, and never fewer than asked for.
        let lifetime = Duration::from_secs(lifetime.as_millis().div_ceil(1000) as u64);
        self.cookie(&self.fence_name, &version.to_string(), Some(lifetime), https)
    }

    fn text(&self, value: &str, age: Option<Duration>, https: bool) -> String {
        self.cookie(&self.name, value, age, https)
    }

    fn cookie(&self, name: &str, value: &str, age: Option<Duration>, https: bool) -> String {
        let room = name.len() + value.len() + self.attributes.len() + AGE_BYTES + MOST_FLAGS;
        let mut text = String::with_capacity(room);
        for part in [name, "=", value, &self.attributes] {
            text.push_str(part);
        }
        if let Some(age) = age {
            // Writing to a string does not fail.
            let _ = write!(text, "; Max-Age={}", age.as_secs());
        }
        let secure = match self.secure {
            Secure::Always => true,
            Secure::WhenHttps => https,
            Secure::Never => false,
        };
        if secure {
            text.push_str("; Secure");
        }
        if self.partitioned {
            text.push_str("; Partitioned");
        }
        text
    }

    fn longest(&self) -> usize {
        self.text("", None, true).len() + Token::TEXT_LEN + AGE_BYTES
    }
}

impl Default for Cookie {
    /// [`CookieConfig::default`], which is sound.
    fn default() -> Self {
        let config = CookieConfig::default();
        let name = config.full_name();
        Self {
            fence_name: format!("{name}{SUFFIX}"),
            name,
            attributes: config.attributes(),
            partitioned: false,
            persistent: false,
            secure: Secure::Always,
        }
    }
}
