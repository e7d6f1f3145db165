//! What of a client's `Authorization` is for the service: all but a session's token, whose holder is
//! signed in. Pure.

use cloakroom::Token;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// What is for the service; an empty value where that is nothing, for proxies put it in place of the
/// client's. `None`: the client has none. Of several nobody knows which one counts, so none of them
/// is for the service.
pub(super) fn for_service(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let first = values.next()?;
    let mut value = match values.next() {
        None if !has_session(first.as_bytes()) => first.clone(),
        _ => HeaderValue::from_static(""),
    };
    value.set_sensitive(true);
    Some(value)
}

/// Whether a session's token is in this, also where a proxy has made one line of several.
fn has_session(value: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(is_session)
}

/// Whether this is what a client sends to be known by its session: the scheme `Bearer` in any case,
/// and a token.
fn is_session(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    scheme.eq_ignore_ascii_case(b"bearer") && Token::parse(rest.trim_ascii()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "VLxGPDhuwj4u0gOIc0M8d6uaSgJyGG_q_1O2IWgbkCkzg-qX";

    #[test]
    fn a_session_s_token_is_left_out_and_all_else_is_not() {
        let bearer = format!("Bearer {TOKEN}");
        for (values, kept) in [
            (&[][..], None),
            (&["Basic YTpi"], Some("Basic YTpi")),
            (&["Bearer a-service-s-own"], Some("Bearer a-service-s-own")),
            (&["Bearer"], Some("Bearer")),
            (&[TOKEN], Some(TOKEN)),
            (&[&bearer], Some("")),
            (&[&format!("bEARER\t {TOKEN} ")], Some("")),
            (&["Basic YTpi", &bearer], Some("")),
            (&[&format!("Basic YTpi,{bearer}")], Some("")),
            (&["Digest a=b, c=d"], Some("Digest a=b, c=d")),
            (&["Basic YTpi", "Basic YTpj"], Some("")),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            let found = for_service(&headers);
            let found = found.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(found, kept, "{values:?}");
        }
    }
}
