//! How tokens travel: in a cookie, in a header, or as each client likes.

mod cookie;
pub mod cookies;
mod fence;
mod header;
#[cfg(feature = "sealed")]
mod sealed;

use std::time::Duration;

use cloakroom_core::{Reply, Timestamp, Token};
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use smallvec::SmallVec;

pub use cookie::{BadCookie, CookieConfig, SameSite, Secure};

use self::cookie::Cookie;
use self::header::Header;

/// What shared caches heed before `Cache-Control` (RFC 9213).
const FOR_SHARED_CACHES: [HeaderName; 2] =
    [HeaderName::from_static("cdn-cache-control"), HeaderName::from_static("surrogate-control")];

/// How tokens come in and go out. By default in the cookie of [`CookieConfig::default`].
///
/// Where nodes read from a cache, the version that a client has seen travels beside the token: in a
/// cookie of its own, or in the header `Cloakroom-Version`. A client that keeps its token itself
/// returns that header, as it came last, with its requests of the next seconds; else it may be shown
/// for a moment what was before its own write. For a page of another origin, name it in
/// `Access-Control-Expose-Headers` and `-Allow-Headers`.
#[derive(Clone, Debug)]
pub struct Transport {
    cookie: Option<Cookie>,
    header: Option<Header>,
}

/// The way that a client's answer takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    Cookie,
    Header,
}

impl Default for Transport {
    fn default() -> Self {
        Self { cookie: Some(Cookie::default()), header: None }
    }
}

impl Transport {
    /// Carries tokens in a cookie.
    ///
    /// # Errors
    /// Where browsers would not keep such a cookie, or not as it is meant.
    pub fn cookie(config: CookieConfig) -> Result<Self, BadCookie> {
        Ok(Self { cookie: Some(config.build()?), header: None })
    }

    /// Carries tokens in `Authorization: Bearer` on requests and in `X-Session-Token` on responses,
    /// where an empty one says that the session has ended.
    pub const fn bearer() -> Self {
        Self { cookie: None, header: Some(Header::Bearer) }
    }

    /// Carries tokens in the header `name`, both ways. An empty one on a response says that the
    /// session has ended.
    pub const fn header(name: HeaderName) -> Self {
        Self { cookie: None, header: Some(Header::Named(name)) }
    }

    /// Carries tokens as each client likes. A request that has `Authorization: Bearer`, if without a
    /// token, is answered as by [`Self::bearer`], and its cookies are not looked at; any other is
    /// answered in the cookie.
    ///
    /// ```
    /// use cloakroom_web::{CookieConfig, Transport};
    ///
    /// let transport = Transport::cookie_or_bearer(CookieConfig::default())?;
    /// # Ok::<_, cloakroom_web::BadCookie>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::cookie`].
    pub fn cookie_or_bearer(config: CookieConfig) -> Result<Self, BadCookie> {
        Ok(Self { cookie: Some(config.build()?), header: Some(Header::Bearer) })
    }

    /// Carries tokens as each client likes: as [`Self::cookie_or_bearer`], in the header `name`.
    ///
    /// # Errors
    /// As [`Self::cookie`].
    pub fn cookie_or_header(config: CookieConfig, name: HeaderName) -> Result<Self, BadCookie> {
        Ok(Self { cookie: Some(config.build()?), header: Some(Header::Named(name)) })
    }

    /// The names of the cookies that it sets, as browsers send them: what stands in front of other
    /// services keeps these from them.
    pub fn cookie_names(&self) -> impl Iterator<Item = &str> {
        self.cookie.iter().flat_map(|cookie| [cookie.name(), cookie.fence_name()])
    }

    /// Whether an answer depends on how the request came.
    pub(crate) fn asks_for_https(&self) -> bool {
        self.cookie.as_ref().is_some_and(Cookie::asks_for_https)
    }

    /// Which way this request came, and its answer goes.
    pub(crate) fn way(&self, headers: &HeaderMap) -> Way {
        match (&self.cookie, &self.header) {
            (None, _) => Way::Header,
            (Some(_), Some(header)) if header.is_present(headers) => Way::Header,
            (Some(_), _) => Way::Cookie,
        }
    }

    /// The first distinct, well-formed tokens of a request, `most` of them, and the highest version
    /// of its session that it says it has seen. A forged one costs a read.
    pub(crate) fn brought(&self, headers: &HeaderMap, most: usize) -> (Tokens, Option<u64>) {
        match (self.way(headers), &self.cookie, &self.header) {
            (Way::Cookie, Some(cookie), _) => {
                let lines = headers.get_all(COOKIE).into_iter().map(HeaderValue::as_bytes);
                let (mut tokens, mut seen) = (Tokens::new(), None);
                for (name, value) in lines.flat_map(cookies::pairs) {
                    if name == cookie.name().as_bytes() {
                        add_distinct(&mut tokens, value, most);
                    } else if name == cookie.fence_name().as_bytes() {
                        seen = seen.max(fence::parse(value));
                    }
                }
                (tokens, seen)
            }
            (Way::Header, _, Some(header)) => {
                let mut tokens = Tokens::new();
                header.values(headers).for_each(|value| add_distinct(&mut tokens, value, most));
                let seen = headers.get(fence::HEADER);
                (tokens, seen.and_then(|value| fence::parse(value.as_bytes())))
            }
            _ => (Tokens::new(), None),
        }
    }

    /// Writes onto a response the version that its client is to return for a while.
    pub(crate) fn fence(
        &self,
        version: u64,
        lifetime: Duration,
        to: &Recipient,
        headers: &mut HeaderMap,
    ) {
        match (to.way, &self.cookie) {
            (Way::Cookie, Some(cookie)) => {
                let text = cookie.fence(version, lifetime, to.https);
                if let Ok(value) = HeaderValue::try_from(text) {
                    headers.append(SET_COOKIE, value);
                }
            }
            _ => drop(headers.insert(fence::HEADER, version.into())),
        }
    }

    /// Writes onto a response what its client has to be told, and that nobody may store it.
    pub(crate) fn answer(&self, reply: &Reply, to: &Recipient, headers: &mut HeaderMap) {
        for name in FOR_SHARED_CACHES {
            headers.remove(name);
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match (to.way, &self.cookie, &self.header) {
            (Way::Cookie, Some(cookie), _) => {
                let text = cookie.set(reply, to);
                if let Some(value) = sensitive(&text) {
                    headers.append(SET_COOKIE, value);
                }
            }
            (Way::Header, _, Some(header)) => header.answer(reply, headers),
            _ => {}
        }
    }
}

/// A request's tokens: hardly one brings several.
pub(crate) type Tokens = SmallVec<[Token; 1]>;

/// Whom a response answers, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipient {
    pub(crate) way: Way,
    /// Whether the request came by HTTPS.
    pub(crate) https: bool,
    /// Whether its session is to outlive the browser.
    pub(crate) remembered: bool,
    pub(crate) now: Timestamp,
}

/// A value that debug output does not show.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn add_distinct(tokens: &mut Tokens, value: &[u8], most: usize) {
    if tokens.len() < most
        && let Some(token) = Token::parse(value)
        && !tokens.contains(&token)
    {
        tokens.push(token);
    }
}
