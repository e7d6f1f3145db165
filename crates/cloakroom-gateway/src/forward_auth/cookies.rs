//! The cookies that are for the service: all but the gateway's own, whose holder is signed in. Pure.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::proxy::cookie_name;

/// Says of a cookie's name whether it is the gateway's own.
pub(crate) type IsOwn = dyn Fn(&[u8]) -> bool + Send + Sync;

/// What of a client's cookies is for the service, in one line; an empty one where there are none, for
/// proxies put it in place of the client's.
pub(super) fn for_service(headers: &HeaderMap, is_own: &IsOwn) -> HeaderValue {
    let mut line = Vec::new();
    for given in headers.get_all(COOKIE) {
        let cookies = given.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        for cookie in cookies.filter(|cookie| !cookie.is_empty() && !is_own(cookie_name(cookie))) {
            if !line.is_empty() {
                line.extend(b"; ");
            }
            line.extend(cookie);
        }
    }
    // Parts of headers are headers, so this cannot fail.
    let mut value = HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_cookies_are_left_out() {
        let is_own = |name: &[u8]| [&b"__Host-session"[..], b"__Host-session-v"].contains(&name);
        for (lines, kept) in [
            (&["__Host-session=1; theme=dark; __Host-session-v=2; a=b=c"][..], "theme=dark; a=b=c"),
            (&["__Host-session=1"], ""),
            (&[], ""),
            (&["theme=dark", "__Host-session =1;lang=de;"], "theme=dark; lang=de"),
            (&["__host-session=1; x__Host-session=1"], "__host-session=1; x__Host-session=1"),
        ] {
            let headers = lines.iter().map(|line| (COOKIE, line.parse().unwrap())).fold(
                HeaderMap::new(),
                |mut headers, (name, value): (_, HeaderValue)| {
                    headers.append(name, value);
                    headers
                },
            );
            assert_eq!(for_service(&headers, &is_own), kept, "{lines:?}");
        }
    }
}
