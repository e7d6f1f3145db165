//! `[listen]`, `[limits]` and `[forward_auth]`: the side that clients and proxies see.

use std::net::SocketAddr;

use cloakroom::Network;
use toml::de::DeValue;

use crate::config::section::Section;
use crate::config::surroundings::Surroundings;
use crate::config::trouble::Bad;
use crate::config::{DEFAULT_ADDRESS, words};
use crate::serve::{Limits, Listen, TlsFiles};

/// More connections than a machine has.
const MOST_CONNECTIONS: u64 = 10_000_000;
/// More requests at once than one connection is good for.
const MOST_STREAMS: u64 = 100_000;
const MOST_HEADERS: u64 = 1_000;
const MOST_HEAD_BYTES: usize = 512 * 1024;

/// What there is to say for plain HTTP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    /// Cookies are to travel over it.
    pub(super) meant: bool,
    /// Proxies are trusted, which may speak HTTPS in front.
    pub(super) trusts: bool,
}

/// Where to listen.
pub(super) fn listen(
    sections: Vec<Section<'_>>,
    plain: Plain,
    around: Surroundings<'_>,
) -> Vec<Listen> {
    if sections.is_empty() {
        return vec![Listen { address: DEFAULT_ADDRESS, tls: None }];
    }
    let mut all: Vec<Listen> = Vec::new();
    for section in sections {
        let address = section.required("address", "\"127.0.0.1:8080\"", address);
        let file = |value| around.file(words::text(value)?);
        let (certificates, key) = (section.get("certificates", file), section.get("key", file));
        let named = ["certificates", "key"].map(|key| !section.values(key).is_empty());
        if named[0] != named[1] {
            let bad = Bad::new("for TLS both `certificates` and `key` are needed");
            section.notes.error(&section.span, bad.help("name two files in PEM"));
        }
        let tls = certificates.zip(key).map(|(certificates, key)| TlsFiles { certificates, key });
        if let Some(address) = address {
            let inside = address.value.ip().is_loopback() || named[0];
            if !inside && !plain.meant && !plain.trusts {
                let bad = Bad::new("over plain HTTP, browsers keep no login but at localhost");
                let help = "give it `certificates` and `key`; name the proxy with HTTPS in front in \
                            `trusted_proxies`; or, for development, write \
                            `insecure_plain_http = true` in [session.cookie]";
                section.notes.warning(&address.span, bad.help(help));
            }
            if all.iter().any(|other| other.address == address.value) {
                section.notes.error(&address.span, Bad::new("this address is listened at already"));
            }
            all.push(Listen { address: address.value, tls });
        }
        section.close();
    }
    all
}

fn address(value: &DeValue<'_>) -> Result<SocketAddr, Bad> {
    words::text(value)?.parse().map_err(|_| {
        Bad::new("this is no address to listen at").help(
            "write an address and a port, such as \"127.0.0.1:8080\", or \"[::]:443\" for all",
        )
    })
}

/// Room for heads, of which those by HTTP/2 have no other limit to the number of their headers.
fn head_bytes(value: &DeValue<'_>) -> Result<usize, Bad> {
    match words::small_size(value)? {
        bytes if bytes > MOST_HEAD_BYTES => {
            Err(Bad::new("this is too large").help("write \"512 KiB\" or less"))
        }
        bytes => Ok(bytes),
    }
}

/// What one client can take.
pub(super) fn limits(section: Section<'_>) -> Limits {
    let usual = Limits::default();
    let limits = Limits {
        connections: section
            .get("connections", words::number(1, MOST_CONNECTIONS))
            .unwrap_or(usual.connections),
        head: section.get("head", words::duration).unwrap_or(usual.head),
        keep_alive: section.get("keep_alive", words::duration).unwrap_or(usual.keep_alive),
        stalled: section.get("stalled", words::duration).unwrap_or(usual.stalled),
        streams: section.get("streams", words::number(1, MOST_STREAMS)).unwrap_or(usual.streams),
        resets: section.get("resets", words::number(1, MOST_STREAMS)).unwrap_or(usual.resets),
        head_bytes: section.get("head_bytes", head_bytes).unwrap_or(usual.head_bytes),
        headers: section.get("headers", words::number(1, MOST_HEADERS)).unwrap_or(usual.headers),
        drain: section.get("drain", words::or_none).unwrap_or(usual.drain),
        unready_first: section.get("unready_first", words::or_none).unwrap_or(usual.unready_first),
    };
    section.close();
    limits
}

/// Who may ask for verdicts.
pub(super) fn forward_auth(section: Section<'_>, plain: Plain) -> Vec<Network> {
    let from = section.list("from", words::network);
    if let Some(first) = from.first().filter(|_| !plain.trusts) {
        let bad =
            Bad::new("these proxies may ask, and are not trusted to say who their clients are");
        let help = "write them in `trusted_proxies`, too: else all who sign in by them come from one \
                    address, and are held up by each other's wrong passwords";
        section.notes.warning(&first.span, bad.help(help));
    }
    if section.values("from").is_empty() {
        let bad = Bad::new("`from` is missing in [forward_auth]");
        let help = "write `from = [\"10.0.0.0/8\"]`: the addresses of the proxies that may ask";
        section.notes.error(&section.span, bad.help(help));
    }
    section.close();
    from.into_iter().map(|at| at.value).collect()
}
