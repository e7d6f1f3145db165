//! Tells upstreams how a request came here: `X-Forwarded-*`, and `Forwarded` (RFC 7239).

use std::fmt::Write;
use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue, Version};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const HTTPS: HeaderValue = HeaderValue::from_static("https");
const HTTP: HeaderValue = HeaderValue::from_static("http");
const PORT_OF_HTTPS: HeaderValue = HeaderValue::from_static("443");
const PORT_OF_HTTP: HeaderValue = HeaderValue::from_static("80");

/// How a request came.
#[derive(Debug)]
pub(in crate::proxy) struct Client<'a> {
    /// The other end of the connection.
    pub(in crate::proxy) peer: Option<IpAddr>,
    /// Whether whoever asks first came by HTTPS.
    pub(in crate::proxy) https: bool,
    /// The host that was asked for.
    pub(in crate::proxy) host: Option<&'a HeaderValue>,
    pub(in crate::proxy) version: Version,
}

/// What a proxy that is believed said.
#[derive(Debug)]
pub(super) struct Said {
    hops: Option<HeaderValue>,
    host: Option<HeaderValue>,
    port: Option<HeaderValue>,
    forwarded: Option<HeaderValue>,
    real_ip: Option<HeaderValue>,
}

impl Said {
    /// Takes it out of a request's headers.
    pub(super) fn take(headers: &mut HeaderMap) -> Self {
        Self {
            hops: joined(headers, &FOR),
            host: headers.remove(HOST),
            port: headers.remove(PORT),
            forwarded: joined(headers, &FORWARDED),
            real_ip: headers.remove(REAL_IP),
        }
    }
}

fn joined(headers: &mut HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    if headers.get_all(name).iter().nth(1).is_none() {
        return headers.remove(name);
    }
    let lines: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let line = HeaderValue::from_bytes(&lines.join(&b", "[..])).ok();
    headers.remove(name);
    line
}

/// Adds how a request came to what a proxy that is believed said of the way before.
pub(super) fn tell(headers: &mut HeaderMap, client: &Client<'_>, before: Option<Said>) {
    let said = before.unwrap_or(Said {
        hops: None,
        host: None,
        port: None,
        forwarded: None,
        real_ip: None,
    });
    if let Some(forwarded) = forwarded(client, &said) {
        headers.insert(FORWARDED, forwarded);
    }
    if let Some(hops) = hops(client, said.hops.as_ref()) {
        headers.insert(FOR, hops);
    }
    headers.insert(PROTO, if client.https { HTTPS } else { HTTP });
    if let Some(port) = said.port.or_else(|| port(client)) {
        headers.insert(PORT, port);
    }
    if let Some(host) = said.host.or_else(|| client.host.cloned()) {
        headers.insert(HOST, host);
    }
    if let Some(real_ip) = said.real_ip {
        headers.insert(REAL_IP, real_ip);
    }
}

fn hops(client: &Client<'_>, before: Option<&HeaderValue>) -> Option<HeaderValue> {
    let mut line = Line::default();
    if let Some(before) = before {
        line.0.extend_from_slice(before.as_bytes());
    }
    if let Some(peer) = client.peer {
        line.add(if line.0.is_empty() { "" } else { ", " });
        line.address(peer);
    }
    line.value()
}

fn port(client: &Client<'_>) -> Option<HeaderValue> {
    let host = client.host?.as_bytes();
    let after = host.iter().rposition(|byte| *byte == b':').map(|colon| &host[colon + 1..]);
    let digits = after.filter(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit));
    match digits {
        Some(digits) => HeaderValue::from_bytes(digits).ok(),
        None if client.https => Some(PORT_OF_HTTPS),
        None => Some(PORT_OF_HTTP),
    }
}

/// Where the proxy before spoke only by `X-Forwarded-For`, its hops are said here as well: else an
/// upstream that reads this header alone would take the proxy for the client.
fn forwarded(client: &Client<'_>, before: &Said) -> Option<HeaderValue> {
    let peer = client.peer?;
    let mut line = Line(Vec::with_capacity(64));
    match (&before.forwarded, &before.hops) {
        (Some(forwarded), _) => {
            line.0.extend_from_slice(forwarded.as_bytes());
            line.add(", ");
        }
        (None, Some(hops)) => {
            let hops = hops.to_str().unwrap_or_default().split(',');
            for hop in hops.filter_map(|hop| hop.trim().parse().ok()) {
                line.node(hop);
                line.add(", ");
            }
        }
        (None, None) => {}
    }
    line.node(peer);
    let host = before.host.as_ref().or(client.host).and_then(|host| host.to_str().ok());
    if let Some(host) = host.filter(|host| !host.contains(['"', '\\'])) {
        line.add(";host=\"");
        line.add(host);
        line.add("\"");
    }
    line.add(if client.https { ";proto=https" } else { ";proto=http" });
    line.value()
}

/// A header's value while it is written.
#[derive(Default)]
struct Line(Vec<u8>);

impl Line {
    fn add(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn node(&mut self, address: IpAddr) {
        let (before, after) = match address {
            IpAddr::V4(_) => ("for=", ""),
            IpAddr::V6(_) => ("for=\"[", "]\""),
        };
        self.add(before);
        self.address(address);
        self.add(after);
    }

    /// Written by hand where it is short: the general way costs more than all of the rest.
    fn address(&mut self, address: IpAddr) {
        let IpAddr::V4(address) = address else {
            _ = write!(self, "{address}");
            return;
        };
        let (mut text, mut length) = ([b'.'; 16], 0);
        let mut add = |byte| {
            text[length] = byte;
            length += 1;
        };
        for octet in address.octets() {
            if octet >= 100 {
                add(b'0' + octet / 100);
            }
            if octet >= 10 {
                add(b'0' + octet / 10 % 10);
            }
            add(b'0' + octet % 10);
            add(b'.');
        }
        self.0.extend_from_slice(&text[..length - 1]);
    }

    fn value(self) -> Option<HeaderValue> {
        let line = Some(self.0).filter(|line| !line.is_empty())?;
        HeaderValue::from_maybe_shared(bytes::Bytes::from(line)).ok()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.add(text);
        Ok(())
    }
}
