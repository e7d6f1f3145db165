//! The list of those that a request came through (RFC 9110, section 7.6.3).

use http::header::{Entry, VIA};
use http::{HeaderMap, HeaderValue, Version};

const NAME: &[u8] = b"cloakroom";

/// Adds this gateway to the list. Returns how many like it are there.
pub(super) fn sign(headers: &mut HeaderMap, version: Version) -> usize {
    match headers.entry(VIA) {
        Entry::Vacant(none) => {
            none.insert(via(version));
            1
        }
        Entry::Occupied(mut before) => {
            let hops = before.iter().map(count).sum::<usize>();
            before.append(via(version));
            hops + 1
        }
    }
}

/// How many of a line's hops are gateways like this one.
fn count(line: &HeaderValue) -> usize {
    let hops = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    hops.filter(|hop| hop.strip_suffix(NAME).is_some_and(|before| before.ends_with(b" "))).count()
}

const fn via(version: Version) -> HeaderValue {
    match version {
        Version::HTTP_2 => HeaderValue::from_static("2.0 cloakroom"),
        Version::HTTP_10 => HeaderValue::from_static("1.0 cloakroom"),
        _ => HeaderValue::from_static("1.1 cloakroom"),
    }
}
