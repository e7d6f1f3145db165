//! Keeps the gateway's own cookies between the client and the gateway.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The names of the gateway's own cookies, told apart in their case, as browsers do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct OwnCookies(Vec<String>);

impl OwnCookies {
    /// Cookies of these names.
    pub(crate) const fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// Whether a cookie of this name is the gateway's own.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.0.iter().any(|ours| ours.as_bytes() == name)
    }

    /// What of a client's cookies is for services, in one line; an empty one where that is nothing.
    pub(crate) fn for_service(&self, headers: &HeaderMap) -> HeaderValue {
        let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        let mut line = match (kept(&lines, |name| self.has(name)), headers.get(COOKIE)) {
            (Kept::All, Some(line)) => line.clone(),
            // Parts of headers are headers, so this cannot fail.
            (Kept::Some(line), _) => {
                HeaderValue::from_maybe_shared(line).unwrap_or(HeaderValue::from_static(""))
            }
            _ => HeaderValue::from_static(""),
        };
        line.set_sensitive(true);
        line
    }
}

/// What of a request's cookies is forwarded.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Kept {
    /// The one line as it came.
    All,
    /// This line.
    Some(Bytes),
    Nothing,
}

/// Leaves out one's own cookies, and makes one line of several, as HTTP/1.1 wants it. The bytes of
/// the others are not touched.
pub(super) fn kept(lines: &[&[u8]], own: impl Fn(&[u8]) -> bool) -> Kept {
    let cookies = || lines.iter().flat_map(|line| line.split(|byte| *byte == b';'));
    let is_own = |cookie: &[u8]| own(name(cookie));
    if lines.len() == 1 && !cookies().any(is_own) {
        return Kept::All;
    }
    let mut line = BytesMut::new();
    let others = cookies().filter(|cookie| !is_own(cookie)).map(<[u8]>::trim_ascii_start);
    for cookie in others.filter(|cookie| !cookie.is_empty()) {
        if !line.is_empty() {
            line.put_slice(b"; ");
        }
        line.put_slice(cookie);
    }
    match line.is_empty() {
        true => Kept::Nothing,
        false => Kept::Some(line.freeze()),
    }
}

/// Whether a `Set-Cookie` sets one of one's own cookies. One without a name is sent back as its
/// value alone, so that the value's beginning counts as its name.
pub(super) fn sets(line: &[u8], own: impl Fn(&[u8]) -> bool) -> bool {
    let cookie = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let cookie = match cookie.trim_ascii_start() {
        [b'=', value @ ..] => value,
        _ => cookie,
    };
    own(name(cookie))
}

/// The name of a cookie, as it stands between two semicolons.
fn name(cookie: &[u8]) -> &[u8] {
    cookie.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ones_own_cookies_are_no_service_s() {
        let own = OwnCookies::new(vec!["__Host-id".to_owned(), "__Host-id-v".to_owned()]);
        for (lines, left) in [
            (&["__Host-id=1; theme=dark; __Host-id-v=2; a=b=c"][..], "theme=dark; a=b=c"),
            (&["__Host-id=1"], ""),
            (&[], ""),
            (&["theme=dark", "__Host-id =1;lang=de;"], "theme=dark; lang=de"),
            (&["__host-id=1; x__Host-id=1"], "__host-id=1; x__Host-id=1"),
        ] {
            let lines = lines.iter().map(|line| (COOKIE, line.parse().unwrap()));
            let mut headers = HeaderMap::new();
            lines.for_each(|(name, line)| _ = headers.append(name, line));
            let line = own.for_service(&headers);
            assert_eq!(line, left);
            assert!(line.is_sensitive());
        }
    }
}
