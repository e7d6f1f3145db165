//! What may stand behind a request's body (RFC 9110, section 6.5).

use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::hop;

/// Whether a header has to be known before the body comes, or is for one connection.
pub(super) fn is_of_a_head(name: &HeaderName) -> bool {
    [AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, TRAILER].contains(name) || hop::is_hop(name)
}

/// Announces those trailers only that may come.
pub(super) fn announce(headers: &mut HeaderMap, may: impl Fn(&HeaderName) -> bool) {
    let names = headers.get_all(TRAILER).into_iter();
    let names = names.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    let names: Vec<_> = names.filter(may).collect();
    let names: Vec<_> = names.iter().map(HeaderName::as_str).collect();
    match HeaderValue::try_from(names.join(", ")) {
        Ok(line) if !line.is_empty() => _ = headers.insert(TRAILER, line),
        _ => _ = headers.remove(TRAILER),
    }
}
