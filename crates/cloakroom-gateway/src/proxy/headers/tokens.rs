//! Keeps sessions' tokens that travel in headers between the client and the gateway: whoever has one
//! is its user, at every service.

use cloakroom::Token;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

/// What the gateway says in headers to clients that keep their tokens themselves, and they to it.
const TOLD: [&str; 2] = ["cloakroom-version", "x-session-token"];
const BEARER: &[u8] = b"bearer";

/// The names of headers that are for the client and the gateway alone.
pub(super) fn names(token_header: Option<&HeaderName>) -> impl Iterator<Item = &str> {
    TOLD.into_iter().chain(token_header.map(HeaderName::as_str))
}

/// Drops each `Authorization: Bearer` that brings a session's token. Others are their service's.
pub(super) fn drop_bearers(headers: &mut HeaderMap) {
    let lines = || headers.get_all(AUTHORIZATION).into_iter();
    if !lines().any(is_token) {
        return;
    }
    let others: Vec<_> = lines().filter(|line| !is_token(line)).cloned().collect();
    headers.remove(AUTHORIZATION);
    for line in others {
        headers.append(AUTHORIZATION, line);
    }
}

fn is_token(line: &HeaderValue) -> bool {
    let split = line.as_bytes().split_at_checked(BEARER.len());
    split.is_some_and(|(scheme, rest)| {
        scheme.eq_ignore_ascii_case(BEARER) && Token::parse(rest.trim_ascii()).is_some()
    })
}
