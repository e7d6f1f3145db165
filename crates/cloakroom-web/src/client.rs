//! Who is at the other end: the peer's address, and what trusted proxies say of their clients.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use cloakroom_core::Client;
use http::HeaderName;
use http::header::USER_AGENT;
use http::uri::Scheme;

use crate::Head;

/// The most bytes of a User-Agent header that are kept.
const MOST_DEVICE_BYTES: usize = 256;
/// How many bits stand before an IPv4 address that is written as an IPv6 one.
const MAPPED_BITS: u32 = 96;
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The address at the other end of the connection, in a request's extensions: for services that are
/// not served by axum, whose `ConnectInfo<SocketAddr>` is read by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PeerAddr(pub IpAddr);

/// A network of addresses, such as `10.0.0.0/8` or `::1`. `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
///
/// ```
/// use cloakroom_web::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// # Ok::<_, cloakroom_web::BadNetwork>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// The text is no network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a network: expected an address, or an address, `/` and how many bits of it count")]
pub struct BadNetwork;

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits.map_or(Ok(most), str::parse).map_err(|_| BadNetwork)?;
        if bits > most {
            return Err(BadNetwork);
        }
        let canonical = address.to_canonical();
        let bits = match canonical == address {
            true => bits,
            false => bits.checked_sub(MAPPED_BITS).ok_or(BadNetwork)?,
        };
        Ok(Self { address: canonical, bits })
    }
}

impl Network {
    /// Whether `address` is in it. An IPv4 address written as an IPv6 one is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(mine), IpAddr::V4(other)) => {
                let differing = mine.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= self.bits
            }
            (IpAddr::V6(mine), IpAddr::V6(other)) => {
                let differing = mine.to_bits() ^ other.to_bits();
                differing.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

/// The proxies whose word on their clients counts.
///
/// ```
/// use cloakroom_web::{Head, PeerAddr, TrustedProxies};
///
/// let proxies = TrustedProxies::new(["10.0.0.0/8".parse()?]);
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddr([10, 0, 0, 1].into()));
/// request.headers_mut().insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
/// assert_eq!(proxies.address(Head::from(&request)), Some([203, 0, 113, 9].into()));
/// # Ok::<_, cloakroom_web::BadNetwork>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub(crate) Vec<Network>);

impl TrustedProxies {
    /// Trusts the proxies of these networks.
    pub fn new(networks: impl IntoIterator<Item = Network>) -> Self {
        Self(networks.into_iter().collect())
    }

    /// Whether it is a proxy of ours that has this address.
    pub fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether the client came by HTTPS: as the request's own scheme says, or `X-Forwarded-Proto`
    /// from a trusted proxy.
    pub fn https(&self, head: Head<'_>) -> bool {
        if head.uri.scheme() == Some(&Scheme::HTTPS) {
            return true;
        }
        if !peer(head).is_some_and(|peer| self.trust(peer)) {
            return false;
        }
        // The first of several is what the outermost proxy was asked by.
        let proto = head.text(FORWARDED_PROTO).and_then(|text| text.split(',').next());
        proto.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
    }

    /// The client's address: of the chain of proxies, from this end on, the first that is not
    /// trusted. `None` where nothing says who the peer is, and where a trusted proxy names a client
    /// that is no address: a stranger must not count as that proxy itself.
    pub fn address(&self, head: Head<'_>) -> Option<IpAddr> {
        let mut address = peer(head)?;
        if !self.trust(address) {
            return Some(address);
        }
        let lines = head.headers.get_all(FORWARDED_FOR).into_iter();
        // Cut as bytes: one hop that is no text hides neither its line nor those that follow it.
        let mut hops = lines.rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        while self.trust(address) {
            let Some(hop) = hops.next() else {
                break;
            };
            // What stands before a hop that cannot be read may be anybody's.
            address = parse(hop)?;
        }
        Some(address)
    }

    /// What a login keeps of its client.
    pub(crate) fn client(&self, head: Head<'_>) -> Client {
        let agent = head.headers.get(USER_AGENT);
        Client {
            device: agent.map(|agent| shortened(&String::from_utf8_lossy(agent.as_bytes()))),
            address: self.address(head),
            seen: None,
        }
    }
}

/// An address, with a port or without. One with a zone is another machine's to understand.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim();
    if hop.contains('%') {
        return None;
    }
    let bare = match hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')) {
        Some(inside) => inside.parse().ok().map(IpAddr::V6),
        None => hop.parse().ok(),
    };
    let with_port = || Some(hop.parse::<SocketAddr>().ok()?.ip());
    Some(bare.or_else(with_port)?.to_canonical())
}

fn peer(head: Head<'_>) -> Option<IpAddr> {
    let given = head.extensions.get().map(|PeerAddr(address)| *address);
    #[cfg(feature = "axum")]
    let given = given.or_else(|| {
        let info = head.extensions.get::<axum::extract::ConnectInfo<SocketAddr>>();
        info.map(|info| info.0.ip())
    });
    Some(given?.to_canonical())
}

fn shortened(text: &str) -> String {
    let end = (0..=MOST_DEVICE_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn proxies(networks: &[&str]) -> TrustedProxies {
        TrustedProxies(networks.iter().map(|network| network.parse().unwrap()).collect())
    }

    fn from_peer(peer: &str, headers: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        request.extensions_mut().insert(PeerAddr(address(peer)));
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request
    }

    #[test]
    fn a_network_holds_what_shares_its_first_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("127.0.0.0/8", "::ffff:127.0.0.1", "::1"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.7", "192.0.2.6"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(address(inside)), "{network} {inside}");
            assert!(!parsed.contains(address(outside)), "{network} {outside}");
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "a",
            "10.0.0.0/",
            "1.1.1.1/-1",
            "::ffff:0:0/95",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(BadNetwork), "{bad}");
        }
    }

    #[test]
    fn forwarded_addresses_count_as_far_as_they_are_trusted() {
        let chain = [("x-forwarded-for", "6.6.6.6, 203.0.113.9"), ("x-forwarded-for", "10.0.0.2")];
        let of = |networks: &[_], peer: &str, chain: &[_]| {
            let request = from_peer(peer, chain);
            proxies(networks).address(Head::from(&request)).map(|address| address.to_string())
        };
        assert_eq!(of(&["10.0.0.0/8"], "10.0.0.1", &chain).unwrap(), "203.0.113.9");
        assert_eq!(of(&["10.0.0.0/8"], "198.51.100.1", &chain).unwrap(), "198.51.100.1");
        assert_eq!(of(&[], "10.0.0.1", &chain).unwrap(), "10.0.0.1");
        assert_eq!(of(&["10.0.0.0/8"], "10.0.0.1", &[]).unwrap(), "10.0.0.1");
        for hop in ["[2001:db8::1]:443", "[2001:db8::1]", "2001:db8::1", "10.0.0.3, 2001:db8::1"] {
            let chain = [("x-forwarded-for", hop)];
            assert_eq!(of(&["10.0.0.0/8"], "10.0.0.1", &chain).unwrap(), "2001:db8::1", "{hop}");
        }
        let nobody = Request::new(());
        assert_eq!(proxies(&["0.0.0.0/0"]).address(Head::from(&nobody)), None);
    }

    #[test]
    fn an_unreadable_hop_is_nobody_and_neither_believed_nor_passed_over() {
        // A rule for the proxies' own network, as `allow_from` of the gateway, must not let in whom
        // a proxy could not name; so it is not that proxy's address that stands for them.
        for (lines, expected) in [
            (&[&b"6.6.6.6"[..], b"\xff"][..], None),
            (&[b"6.6.6.6", b"\xff, 10.0.0.2"], None),
            (&[b"6.6.6.6", b"\xff, 203.0.113.9"], Some("203.0.113.9")),
            (&[b"6.6.6.6", b""], None),
            (&[b"6.6.6.6, unknown"], None),
            (&[b"6.6.6.6, _hidden, 10.0.0.2"], None),
            (&[b"fe80::1%eth0"], None),
            (&[b"[fe80::1%1]:80"], None),
            (&[b"[10.0.0.9]"], None),
            (&[b"[::1"], None),
        ] {
            let mut request = from_peer("10.0.0.1", &[]);
            for line in lines {
                let line = http::HeaderValue::from_bytes(line).unwrap();
                request.headers_mut().append(FORWARDED_FOR, line);
            }
            let found = proxies(&["10.0.0.0/8"]).address(Head::from(&request));
            assert_eq!(found, expected.map(address), "{lines:?}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_says_https() {
        let https = [("x-forwarded-proto", "https, http")];
        let (ours, theirs) = (from_peer("10.0.0.1", &https), from_peer("198.51.100.1", &https));
        let proxies = proxies(&["10.0.0.0/8"]);
        assert!(proxies.https(Head::from(&ours)));
        assert!(!proxies.https(Head::from(&theirs)));
        assert!(!proxies.https(Head::from(&from_peer("10.0.0.1", &[]))));
        let itself = Request::get("https://example.org/").body(()).unwrap();
        assert!(proxies.https(Head::from(&itself)));
    }

    #[test]
    fn a_long_device_is_cut_between_characters() {
        assert_eq!(shortened(&"é".repeat(300)).len(), MOST_DEVICE_BYTES);
        assert_eq!(shortened(&format!("a{}", "é".repeat(300))).len(), MOST_DEVICE_BYTES - 1);
        assert_eq!(shortened("curl"), "curl");
    }
}
