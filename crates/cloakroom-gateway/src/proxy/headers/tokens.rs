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

    /// Drops tokens from a request. A bearer's token of another form is the service's own.
    pub(super) fn inbound(&self, headers: &mut HeaderMap) {
        // A client may return a token by the name under which it came.
        headers.remove(self.named.as_ref().unwrap_or(&HANDED_OUT));
        if self.named.is_none() && headers.get_all(AUTHORIZATION).iter().any(is_token) {
            let others = headers.get_all(AUTHORIZATION).into_iter().filter(|line| !is_token(line));
            let others: Vec<_> = others.cloned().collect();
            headers.remove(AUTHORIZATION);
            for line in others {
                headers.append(AUTHORIZATION, line);
            }
        }
        headers.remove(SEEN);
    }

    /// Drops from a response what a client would take for its new token.
    pub(super) fn outbound(&self, headers: &mut HeaderMap) {
        headers.remove(self.named.as_ref().unwrap_or(&HANDED_OUT));
        headers.remove(SEEN);
    }
}

fn is_token(line: &HeaderValue) -> bool {
    const SCHEME: &[u8] = b"bearer";
    let Some((scheme, rest)) = line.as_bytes().split_at_checked(SCHEME.len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(SCHEME) && Token::parse(rest.trim_ascii()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_open_a_session_is_taken_out() {
        let token = "A".repeat(48);
        for (lines, left) in [
            (vec![format!("Bearer {token}")], vec![]),
            (vec![format!("bEARER  \t{token} ")], vec![]),
            (vec!["Basic abc".to_owned(), format!("Bearer {token}")], vec!["Basic abc"]),
            (vec![format!("Basic {token}")], vec!["*"]),
            (vec![format!("Bearer {token}A")], vec!["*"]),
            (vec!["Bearer".to_owned()], vec!["*"]),
            (vec!["Bea".to_owned()], vec!["*"]),
        ] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(AUTHORIZATION, line.parse().unwrap());
            }
            TokenHeaders::default().inbound(&mut headers);
            let left = if left == ["*"] { vec![&*lines[0]] } else { left };
            let kept: Vec<_> =
                headers.get_all(AUTHORIZATION).iter().map(|line| line.to_str().unwrap()).collect();
            assert_eq!(kept, left, "{lines:?}");
        }
    }
}
