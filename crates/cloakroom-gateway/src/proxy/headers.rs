//! What becomes of headers on their way through: what belongs to one connection stays there, what
//! only the gateway may say is said by it alone.

mod cookies;
mod forwarded;
mod hop;
mod tokens;
mod via;

use std::sync::Arc;

use cloakroom::TrustedProxies;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, SET_COOKIE, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) use cookies::OwnCookies;
pub(super) use forwarded::Client;
use hop::without_hops;
pub(super) use hop::{TRAILERS, Wish, wish};
pub(crate) use tokens::TokenHeaders;

/// What upstreams believe of a request's way here; names that no client sets.
const WAY: [&str; 13] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// Begins many more such names. Some that proxies set are of no concern to the gateway, such as a
/// client's certificate: from a proxy that is trusted they are passed on.
const MORE_OF_THE_WAY: &[u8] = b"x-forwarded-";

/// What behind a body would be taken for what stands before it, beside what only the gateway says.
const NO_TRAILERS: [HeaderName; 5] = [AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, SET_COOKIE];

/// What only the gateway says, and whom it believes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Borders {
    /// What tells who asks, and the way; and what carries tokens beside `Authorization`.
    ours: Names,
    cookies: OwnCookies,
    tokens: TokenHeaders,
    proxies: TrustedProxies,
}

/// What of a request's trailers is not forwarded: some servers read them as headers.
#[derive(Clone, Debug, Default)]
pub(super) struct TrailerBorder(Names);

impl Borders {
    /// `identity`: the headers that tell services who asks. `cookies`: the gateway's own. `tokens`:
    /// where tokens travel beside them.
    pub(crate) fn new<'n>(
        identity: impl IntoIterator<Item = &'n HeaderName>,
        cookies: OwnCookies,
        tokens: TokenHeaders,
        proxies: TrustedProxies,
    ) -> Self {
        let carrying = tokens.names();
        let identity = identity.into_iter().map(|name| name.as_str());
        let ours = identity.chain(carrying.iter().map(HeaderName::as_str)).chain(WAY);
        Self { ours: Names::new(ours), cookies, tokens, proxies }
    }

    /// What of a request's trailers is not forwarded.
    pub(super) fn trailers(&self) -> TrailerBorder {
        TrailerBorder(self.ours.clone())
    }

    /// Makes the headers of a client's request those that its upstream gets, but for who asks and
    /// for the host. Returns through how many gateways like this one it has come, with this one.
    pub(super) fn inbound(
        &self,
        headers: &mut HeaderMap,
        client: &Client<'_>,
        affinity_cookie: Option<&str>,
    ) -> usize {
        let trusted = client.peer.is_some_and(|peer| self.proxies.trust(peer));
        let believed = trusted.then(|| forwarded::Said::take(headers));
        without_hops(headers);
        self.drop_ours(headers, trusted);
        self.tokens.inbound(headers);
        if headers.contains_key(COOKIE) {
            self.drop_cookies(headers, affinity_cookie);
        }
        if headers.contains_key(TRAILER) {
            announce(headers, |name| !drops_behind(&self.ours, name));
        }
        forwarded::tell(headers, client, believed);
        via::sign(headers, client.version)
    }

    /// Drops what has the name of one of ours, however it is written.
    fn drop_ours(&self, headers: &mut HeaderMap, trusted: bool) {
        let ours = |name: &&HeaderName| self.ours.has(name) || (!trusted && is_of_the_way(name));
        let doomed: Vec<_> = headers.keys().filter(ours).cloned().collect();
        for name in doomed {
            headers.remove(name);
        }
    }

    fn drop_cookies(&self, headers: &mut HeaderMap, affinity_cookie: Option<&str>) {
        let own = |name: &[u8]| {
            self.cookies.has(name) || affinity_cookie.is_some_and(|ours| ours.as_bytes() == name)
        };
        let lines: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        match cookies::kept(&lines, own) {
            cookies::Kept::All => {}
            cookies::Kept::Some(line) => match HeaderValue::from_maybe_shared(line) {
                Ok(line) => _ = headers.insert(COOKIE, line),
                Err(_) => _ = headers.remove(COOKIE),
            },
            cookies::Kept::Nothing => _ = headers.remove(COOKIE),
        }
    }

    /// Makes the headers of an upstream's response those that the client gets.
    pub(super) fn outbound(&self, headers: &mut HeaderMap, affinity_cookie: Option<&str>) {
        without_hops(headers);
        self.tokens.outbound(headers);
        if !headers.contains_key(SET_COOKIE) {
            return;
        }
        let own = |name: &[u8]| {
            self.cookies.has(name) || affinity_cookie.is_some_and(|ours| ours.as_bytes() == name)
        };
        let lines = || headers.get_all(SET_COOKIE).into_iter();
        if lines().any(|line| cookies::sets(line.as_bytes(), own)) {
            let others = lines().filter(|line| !cookies::sets(line.as_bytes(), own));
            let others: Vec<_> = others.cloned().collect();
            headers.remove(SET_COOKIE);
            for line in others {
                headers.append(SET_COOKIE, line);
            }
        }
    }
}

impl TrailerBorder {
    /// Drops it.
    pub(super) fn drop_ours(&self, trailers: &mut HeaderMap) {
        without_hops(trailers);
        let ours = |name: &&HeaderName| drops_behind(&self.0, name);
        let doomed: Vec<_> = trailers.keys().filter(ours).cloned().collect();
        for name in doomed {
            trailers.remove(name);
        }
    }
}

/// Whether a name is dropped behind a body.
fn drops_behind(ours: &Names, name: &HeaderName) -> bool {
    ours.has(name) || is_of_the_way(name) || NO_TRAILERS.contains(name)
}

/// Announces those trailers only that may come (RFC 9110, section 6.6.2).
fn announce(headers: &mut HeaderMap, may: impl Fn(&HeaderName) -> bool) {
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

fn is_of_the_way(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes().iter();
    name.take(MORE_OF_THE_WAY.len()).map(|byte| folded(*byte)).eq(MORE_OF_THE_WAY.iter().copied())
}

/// Names of headers, told apart as those upstreams do that read `_` and `.` as `-`.
#[derive(Clone, Debug, Default)]
struct Names {
    names: Arc<[Box<[u8]>]>,
    /// A bit for each length that there is: most names are told by it alone.
    lengths: u64,
}

impl Names {
    fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names = names.into_iter().map(|name| name.bytes().map(folded).collect());
        let names: Arc<[Box<[u8]>]> = names.collect();
        let lengths = names.iter().fold(0, |bits, name| bits | bit(name.len()));
        Self { names, lengths }
    }

    fn has(&self, name: &HeaderName) -> bool {
        let name = name.as_str().as_bytes();
        let same = |ours: &[u8]| {
            ours.len() == name.len()
                && name.iter().zip(ours).all(|(byte, our)| folded(*byte) == *our)
        };
        self.lengths & bit(name.len()) != 0 && self.names.iter().any(|ours| same(ours))
    }
}

/// Long names share the last bit.
const fn bit(length: usize) -> u64 {
    match length {
        0..63 => 1 << length,
        _ => 1 << 63,
    }
}

const fn folded(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests;
