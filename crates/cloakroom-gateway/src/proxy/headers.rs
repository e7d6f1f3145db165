//! What becomes of headers on their way through: what belongs to one connection stays there, what
//! only the gateway may say is said by it alone.

mod cookies;
mod forwarded;
mod hop;
mod tokens;
mod trailers;

use cloakroom::TrustedProxies;
use http::header::{COOKIE, SET_COOKIE, TRAILER, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

pub(crate) use cookies::OwnCookies;
pub(super) use forwarded::Client;
use hop::without_hops;
pub(super) use hop::{TRAILERS, Wish, wish};

/// What upstreams believe of a request's way here, or take for its method or address in the place of
/// those that rules have seen; names that no client sets.
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

/// What only the gateway says, and whom it believes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Borders {
    identity: Names,
    way: Names,
    /// Headers that sessions' tokens travel in, and what travels beside them.
    tokens: Names,
    cookies: OwnCookies,
    proxies: TrustedProxies,
}

impl Borders {
    /// `identity`: the headers that tell services who asks. `cookies`: the gateway's own.
    /// `token_header`: the header that sessions' tokens travel in, beside `Authorization: Bearer`.
    pub(crate) fn new<'n>(
        identity: impl IntoIterator<Item = &'n HeaderName>,
        cookies: OwnCookies,
        token_header: Option<&HeaderName>,
        proxies: TrustedProxies,
    ) -> Self {
        let identity = Names::new(identity.into_iter().map(HeaderName::as_str));
        let tokens = Names::new(tokens::names(token_header));
        Self { identity, way: Names::new(WAY), tokens, cookies, proxies }
    }

    /// Makes the headers of a client's request those that its upstream gets, but for who asks and
    /// for the host.
    pub(super) fn inbound(
        &self,
        headers: &mut HeaderMap,
        client: &Client<'_>,
        affinity_cookie: Option<&str>,
    ) {
        let trusted = client.peer.is_some_and(|peer| self.proxies.trust(peer));
        let believed = trusted.then(|| forwarded::Said::take(headers));
        without_hops(headers);
        self.drop_ours(headers);
        tokens::drop_bearers(headers);
        if headers.contains_key(TRAILER) {
            trailers::announce(headers, |name| self.may_trail(name));
        }
        if headers.contains_key(COOKIE) {
            self.drop_cookies(headers, affinity_cookie);
        }
        forwarded::tell(headers, client, believed);
        headers.append(VIA, via(client.version));
    }

    /// Drops what has the name of one of ours, however it is written.
    fn drop_ours(&self, headers: &mut HeaderMap) {
        drop_names(headers, |name| self.is_ours(name));
    }

    fn is_ours(&self, name: &HeaderName) -> bool {
        self.identity.has(name) || self.way.has(name) || self.tokens.has(name)
    }

    /// Makes the trailers of a client's request those that its upstream gets: many upstreams read
    /// them as headers.
    pub(super) fn inbound_trailers(&self, trailers: &mut HeaderMap) {
        drop_names(trailers, |name| !self.may_trail(name));
    }

    fn may_trail(&self, name: &HeaderName) -> bool {
        !self.is_ours(name) && !trailers::is_of_a_head(name)
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
        // No service signs an app in, or out.
        drop_names(headers, |name| self.tokens.has(name));
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

fn drop_names(headers: &mut HeaderMap, doomed: impl Fn(&HeaderName) -> bool) {
    let doomed: Vec<_> = headers.keys().filter(|name| doomed(name)).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
}

const fn via(version: Version) -> HeaderValue {
    match version {
        Version::HTTP_2 => HeaderValue::from_static("2.0 cloakroom"),
        Version::HTTP_10 => HeaderValue::from_static("1.0 cloakroom"),
        _ => HeaderValue::from_static("1.1 cloakroom"),
    }
}

/// Names of headers, told apart as those upstreams do that read `_` and `.` as `-`.
#[derive(Clone, Debug, Default)]
struct Names {
    names: Vec<Box<[u8]>>,
    /// A bit for each length that there is: most names are told by it alone.
    lengths: u64,
}

impl Names {
    fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names = names.into_iter().map(|name| name.bytes().map(folded).collect());
        let names: Vec<Box<[u8]>> = names.collect();
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
