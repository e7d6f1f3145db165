//! Keeps the tokens of sessions that travel in headers between the client and the gateway.

use cloakroom::Token;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Where a session's layer hands tokens out that came in by `Authorization`.
const HANDED_OUT: HeaderName = HeaderName::from_static("x-session-token");
/// Which version of its session a client has seen.
const SEEN: HeaderName = HeaderName::from_static("cloakroom-version");

/// The headers in which tokens travel: by default `Authorization: Bearer` and `X-Session-Token`.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenHeaders {
    named: Option<HeaderName>,
}

impl TokenHeaders {
    /// `named`: the one header that carries them both ways instead.
    pub(crate) const fn new(named: Option<HeaderName>) -> Self {
        Self { named }
    }

    /// The headers that no service gets, whatever is in them.
    pub(crate) fn names(&self) -> [HeaderName; 2] {
        // A client may return a token by the name under which it came.
        [self.named.clone().unwrap_or(HANDED_OUT), SEEN]
    }

    /// Drops tokens from a client's `Authorization`. A bearer's token of another form is the
    /// service's own.
    pub(super) fn inbound(&self, headers: &mut HeaderMap) {
        let has_token = |line: &&HeaderValue| self.has_token(line);
        if headers.get_all(AUTHORIZATION).iter().any(|line| has_token(&line)) {
            let lines = headers.get_all(AUTHORIZATION).into_iter();
            let others: Vec<_> = lines.filter(|line| !has_token(line)).cloned().collect();
            headers.remove(AUTHORIZATION);
            for line in others {
                headers.append(AUTHORIZATION, line);
            }
        }
    }

    /// What of a client's `Authorization` is for services behind another proxy; an empty value where
    /// that is nothing. `None`: the client has none. Of several nobody knows which one a proxy takes,
    /// so none of them is.
    pub(crate) fn for_service(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let first = lines.next()?;
        let mut line = match lines.next() {
            None if !self.has_token(first) => first.clone(),
            _ => HeaderValue::from_static(""),
        };
        line.set_sensitive(true);
        Some(line)
    }

    /// Drops from a response what a client would take for its new token.
    pub(super) fn outbound(&self, headers: &mut HeaderMap) {
        for name in self.names() {
            headers.remove(name);
        }
    }

    /// Whether a session's token is in this line of `Authorization`, also where somebody on the way
    /// has made one line of several.
    fn has_token(&self, line: &HeaderValue) -> bool {
        self.named.is_none() && line.as_bytes().split(|byte| *byte == b',').any(is_token)
    }
}

/// Whether these are the scheme `Bearer`, in any case, and a session's token. Between them is a space
/// (RFC 9110, section 11.4); here any blank and none, as some service may read it so.
fn is_token(credentials: &[u8]) -> bool {
    const SCHEME: &[u8] = b"bearer";
    let Some((scheme, rest)) = credentials.trim_ascii().split_at_checked(SCHEME.len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(SCHEME) && Token::parse(rest.trim_ascii()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "VLxGPDhuwj4u0gOIc0M8d6uaSgJyGG_q_1O2IWgbkCkzg-qX";

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, line.replace("TOKEN", TOKEN).parse().unwrap());
        }
        headers
    }

    /// What a service gets of `lines`, by this gateway.
    fn forwarded(tokens: &TokenHeaders, lines: &[&str]) -> Vec<String> {
        let mut headers = headers(lines);
        tokens.inbound(&mut headers);
        let left = headers.get_all(AUTHORIZATION).iter();
        left.map(|line| line.to_str().unwrap().replace(TOKEN, "TOKEN")).collect()
    }

    /// The same by another proxy.
    fn handed_on(tokens: &TokenHeaders, lines: &[&str]) -> Option<String> {
        let line = tokens.for_service(&headers(lines))?;
        assert!(line.is_sensitive());
        Some(line.to_str().unwrap().replace(TOKEN, "TOKEN"))
    }

    #[test]
    fn no_service_gets_what_could_open_a_session() {
        let tokens = TokenHeaders::default();
        for spelled in [
            "Bearer TOKEN",
            "bEARER  \tTOKEN ",
            "Bearer\tTOKEN",
            "BearerTOKEN",
            "Basic YTpi,Bearer TOKEN",
            "Bearer TOKEN , Basic YTpi",
        ] {
            assert_eq!(forwarded(&tokens, &[spelled]), [""; 0], "{spelled:?}");
            assert_eq!(forwarded(&tokens, &["Basic abc", spelled]), ["Basic abc"], "{spelled:?}");
            assert_eq!(handed_on(&tokens, &[spelled]).as_deref(), Some(""), "{spelled:?}");
            let two = handed_on(&tokens, &["Basic abc", spelled]);
            assert_eq!(two.as_deref(), Some(""), "{spelled:?}");
        }
    }

    #[test]
    fn what_is_the_services_own_is_left() {
        let tokens = TokenHeaders::default();
        for own in [
            "Basic TOKEN",
            "Bearer TOKENA",
            "Bearer a-service-s-own",
            "Bearer",
            "Bea",
            "TOKEN",
            "Digest a=b, c=d",
        ] {
            assert_eq!(forwarded(&tokens, &[own]), [own]);
            assert_eq!(handed_on(&tokens, &[own]).as_deref(), Some(own));
        }
        assert_eq!(handed_on(&tokens, &[]), None);
        let named = TokenHeaders::new(Some(HeaderName::from_static("x-shop")));
        assert_eq!(forwarded(&named, &["Bearer TOKEN"]), ["Bearer TOKEN"]);
        assert_eq!(handed_on(&named, &["Bearer TOKEN"]).as_deref(), Some("Bearer TOKEN"));
    }
}
