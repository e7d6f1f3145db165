//! Headers that are for one connection only (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, TE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

/// What a client that reads trailers says in `TE`.
pub(in crate::proxy) const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// What is for one connection. `proxy` is not, but becomes an environment's `HTTP_PROXY` where an
/// upstream runs CGI.
const HOPS: [&str; 11] = [
    "connection",
    "keep-alive",
    "te",
    "upgrade",
    "transfer-encoding",
    "expect",
    "proxy-authenticate",
    "proxy-authorization",
    "http2-settings",
    "proxy",
    "proxy-connection",
];

/// Removes what is for one connection, and what `Connection` names.
pub(in crate::proxy) fn without_hops(headers: &mut HeaderMap) {
    let nominated = match headers.contains_key(CONNECTION) {
        true => nominated(headers),
        false => Vec::new(),
    };
    // Looked for in one pass: most requests have few, and each name that is asked for costs.
    let place = |name: &HeaderName| HOPS.iter().position(|hop| *hop == name.as_str());
    let mut found = headers.keys().filter_map(place).fold(0_u32, |found, place| found | 1 << place);
    while let Some(hop) = HOPS.get(found.trailing_zeros() as usize) {
        headers.remove(*hop);
        found &= found - 1;
    }
    for name in nominated {
        headers.remove(name);
    }
}

/// The headers that `Connection` names; those that go in any case are left out.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let options = headers.get_all(CONNECTION).into_iter();
    let options = options.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let options = options.map(<[u8]>::trim_ascii).filter(|option| {
        let usual: [&[u8]; 3] = [b"keep-alive", b"close", b"upgrade"];
        !usual.iter().any(|usual| option.eq_ignore_ascii_case(usual))
    });
    options.filter_map(|option| HeaderName::from_bytes(option).ok()).collect()
}

/// What a client wants of its connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::proxy) struct Wish {
    /// The protocol to go on with; never HTTP itself, by which rules would be passed by.
    pub(in crate::proxy) upgrade: Option<HeaderValue>,
    /// Whether it reads trailers.
    pub(in crate::proxy) trailers: bool,
}

/// Reads what a client wants of its connection.
pub(in crate::proxy) fn wish(headers: &HeaderMap, version: Version) -> Wish {
    let trailers = || tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case(b"trailers"));
    Wish { upgrade: upgrade(headers, version), trailers: headers.contains_key(TE) && trailers() }
}

fn upgrade(headers: &HeaderMap, version: Version) -> Option<HeaderValue> {
    let wanted = headers.get(UPGRADE).filter(|_| version == Version::HTTP_11)?;
    let alone = headers.get_all(UPGRADE).iter().count() == 1;
    let meant = tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case(b"upgrade"));
    (alone && meant && !is_http(wanted.as_bytes())).then(|| wanted.clone())
}

/// Whether one of these protocols is a form of HTTP.
fn is_http(protocols: &[u8]) -> bool {
    protocols.split(|byte| *byte == b',').any(|protocol| {
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default().trim_ascii();
        [&b"h2c"[..], b"h2", b"http", b"tls", b"h3"]
            .iter()
            .any(|http| name.eq_ignore_ascii_case(http))
    })
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii)
}
