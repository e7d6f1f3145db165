//! Tokens in headers of their own: for clients that keep no cookies.

use cloakroom_core::{Reply, Token};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

const TOKEN: HeaderName = HeaderName::from_static("x-session-token");

/// Where a token comes in, and where it goes out.
#[derive(Clone, Debug)]
pub(super) enum Header {
    /// In `Authorization: Bearer`, out in `X-Session-Token`.
    Bearer,
    /// Both ways in this one.
    Named(HeaderName),
}

impl Header {
    /// Whether the request says that its client takes tokens in headers, if with an empty one.
    pub(super) fn is_present(&self, headers: &HeaderMap) -> bool {
        self.values(headers).next().is_some()
    }

    /// What the client presents, well-formed or not.
    pub(super) fn values<'a>(&self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> {
        let (name, bearer) = match self {
            Self::Bearer => (&AUTHORIZATION, true),
            Self::Named(name) => (name, false),
        };
        let values = headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
        values.filter_map(move |value| match bearer {
            true => credentials(value),
            false => Some(value.trim_ascii()),
        })
    }

    /// The name of the header in which tokens come in.
    #[cfg(feature = "sealed")]
    pub(super) fn name(&self) -> &HeaderName {
        match self {
            Self::Bearer => &AUTHORIZATION,
            Self::Named(name) => name,
        }
    }

    pub(super) fn answer(&self, reply: &Reply, headers: &mut HeaderMap) {
        let name = match self {
            Self::Bearer => TOKEN,
            Self::Named(name) => name.clone(),
        };
        let value = match reply {
            Reply::Send { token, .. } => super::sensitive(&Token::reveal(token)),
            Reply::Seal { text, .. } => super::sensitive(text.reveal()),
            Reply::Clear => Some(HeaderValue::from_static("")),
        };
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

/// What follows the scheme `Bearer`, whose case does not matter (RFC 9110, section 11.1).
fn credentials(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"bearer";
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    (ends && scheme.eq_ignore_ascii_case(SCHEME)).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_scheme_bearer_carries_a_token() {
        assert_eq!(credentials(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(credentials(b"bEARER   abc "), Some(&b"abc"[..]));
        assert_eq!(credentials(b"Bearer"), Some(&b""[..]));
        for other in
            [&b"Bearerabc"[..], b"Basic abc", b"", b"Bear", b"\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert_eq!(credentials(other), None);
        }
    }
}
