//! How tokens travel: in a cookie, in a header, or as each client likes.

mod cookie;
pub mod cookies;
mod header;

use cloakroom_core::{Reply, Timestamp, Token};
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

pub use cookie::{BadCookie, CookieConfig, SameSite, Secure};

use self::cookie::Cookie;
use self::header::Header;

/// What shared caches heed before `Cache-Control` (RFC 9213).
const FOR_SHARED_CACHES: [HeaderName; 2] =
    [HeaderName::from_static("cdn-cache-control"), HeaderName::from_static("surrogate-control")];

/// How tokens come in and go out. By default in the cookie of [`CookieConfig::default`].
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

    /// Which way this request came, and its answer goes.
    pub(crate) fn way(&self, headers: &HeaderMap) -> Way {
        match (&self.cookie, &self.header) {
            (None, _) => Way::Header,
            (Some(_), Some(header)) if header.is_present(headers) => Way::Header,
            (Some(_), _) => Way::Cookie,
        }
    }

    /// The first distinct, well-formed tokens of a request, `most` of them.
    pub(crate) fn tokens(&self, headers: &HeaderMap, most: usize) -> Vec<Token> {
        match (self.way(headers), &self.cookie, &self.header) {
            (Way::Cookie, Some(cookie), _) => {
                let all = headers.get_all(COOKIE).into_iter();
                let values = |header| cookies::values(HeaderValue::as_bytes(header), cookie.name());
                distinct(all.flat_map(values), most)
            }
            (Way::Header, _, Some(header)) => distinct(header.values(headers), most),
            _ => Vec::new(),
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
                let text = cookie.set(reply, to.https, to.now);
                if let Some(value) = sensitive(&text) {
                    headers.append(SET_COOKIE, value);
                }
            }
            (Way::Header, _, Some(header)) => header.answer(reply, headers),
            _ => {}
        }
    }
}

/// Whom a response answers, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipient {
    pub(crate) way: Way,
    /// Whether the request came by HTTPS.
    pub(crate) https: bool,
    pub(crate) now: Timestamp,
}

/// A value that debug output does not show.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn distinct<'a>(values: impl Iterator<Item = &'a [u8]>, most: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    for token in values.filter_map(Token::parse) {
        if tokens.len() == most {
            break;
        }
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    tokens
}
