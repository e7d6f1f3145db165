//! Keeps the gateway's own cookies between the client and the gateway.

use bytes::{BufMut, Bytes, BytesMut};

/// The names of the gateway's own cookies, told apart in their case, as browsers do.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct OwnCookies {
    names: Vec<String>,
    prefixes: Vec<String>,
}

impl OwnCookies {
    /// Cookies of these names, and those whose names begin like this.
    pub(crate) const fn new(names: Vec<String>, prefixes: Vec<String>) -> Self {
        Self { names, prefixes }
    }

    /// Whether a cookie of this name is the gateway's own.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.names.iter().any(|ours| ours.as_bytes() == name)
            || self.prefixes.iter().any(|ours| name.starts_with(ours.as_bytes()))
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
    for cookie in cookies().filter(|cookie| !is_own(cookie)) {
        if !line.is_empty() {
            line.put_slice(b"; ");
        }
        line.put_slice(cookie.trim_ascii_start());
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
pub(crate) fn name(cookie: &[u8]) -> &[u8] {
    cookie.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}
