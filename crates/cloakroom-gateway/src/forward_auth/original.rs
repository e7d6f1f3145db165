//! Reads the request that a proxy asks about out of the request that it asks with. Pure, and strict: a
//! header that is missing or there twice is nobody's to interpret.

use std::net::{IpAddr, SocketAddr};

use axum::extract::OriginalUri;
use cloakroom::PeerAddr;
use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use super::{Proxy, spelling};
use crate::gate::OWN;
use crate::pages::Problem;

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const TARGET: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Why an asking request is not understood.
type Unclear = &'static str;

/// The request that `proxy` asks about.
///
/// | proxy | method | scheme | host | path and query | client |
/// |---|---|---|---|---|---|
/// | nginx, Traefik, Caddy, HAProxy | `X-Forwarded-Method` | `-Proto` | `-Host` | `-Uri` | last of `-For` |
/// | Envoy | its own | `X-Forwarded-Proto` | `Host` | what follows the endpoint's path | last of `-For` |
pub(super) fn read(proxy: Proxy, asking: &Parts) -> Result<Parts, Problem> {
    let original = original(proxy, asking).map_err(Problem::BadRequest)?;
    let path = spelling::plain(original.uri.path());
    let path = path.ok_or(Problem::BadRequest("the path of the address has several meanings"))?;
    if path.as_str().starts_with(OWN) {
        // The gateway's own pages are the gateway's, and no service's behind the proxy.
        return Err(Problem::Denied);
    }
    Ok(original)
}

fn original(proxy: Proxy, asking: &Parts) -> Result<Parts, Unclear> {
    let (method, host, target) = match proxy {
        Proxy::Envoy => {
            let host = one(&asking.headers, &HOST, "the proxy's Host is missing or doubled")?;
            (asking.method.clone(), host, behind(proxy, &asking.uri)?)
        }
        Proxy::Nginx | Proxy::Traefik | Proxy::Caddy | Proxy::Haproxy => (
            method(&asking.headers)?,
            one(&asking.headers, &FORWARDED_HOST, "X-Forwarded-Host is missing or doubled")?,
            one(&asking.headers, &TARGET, "X-Forwarded-Uri is missing or doubled")?,
        ),
    };
    let authority = authority(host)?;
    let uri = Uri::builder()
        .scheme(scheme(&asking.headers)?)
        .authority(authority.clone())
        .path_and_query(path_and_query(target)?)
        .build()
        .map_err(|_| "the address cannot be meant")?;
    let (client, others) = client(&asking.headers)?;

    let mut original = asking.clone();
    original.method = method;
    original.uri = uri;
    for name in [&METHOD, &PROTO, &FORWARDED_HOST, &TARGET, &FOR] {
        original.headers.remove(name);
    }
    if let Some(others) = others {
        original.headers.insert(FOR, others);
    }
    let host = HeaderValue::try_from(authority.as_str()).map_err(|_| "the host cannot be meant")?;
    original.headers.insert(HOST, host);
    original.extensions.remove::<OriginalUri>();
    original.extensions.insert(PeerAddr(client));
    Ok(original)
}

/// The one header of this name.
fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    unclear: Unclear,
) -> Result<&'a str, Unclear> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_err(|_| unclear),
        _ => Err(unclear),
    }
}

fn method(headers: &HeaderMap) -> Result<Method, Unclear> {
    let method = one(headers, &METHOD, "X-Forwarded-Method is missing or doubled")?;
    match Method::from_bytes(method.as_bytes()) {
        Ok(Method::CONNECT) | Err(_) => Err("X-Forwarded-Method is none that can be judged"),
        Ok(method) => Ok(method),
    }
}

fn scheme(headers: &HeaderMap) -> Result<Scheme, Unclear> {
    // Of an upgraded connection, Traefik says what it is upgraded to.
    match one(headers, &PROTO, "X-Forwarded-Proto is missing or doubled")? {
        "https" | "wss" => Ok(Scheme::HTTPS),
        "http" | "ws" => Ok(Scheme::HTTP),
        _ => Err("X-Forwarded-Proto is neither http nor https"),
    }
}

/// A host with or without a port, in lower case.
fn authority(host: &str) -> Result<Authority, Unclear> {
    let authority: Authority = host.to_ascii_lowercase().parse().map_err(|_| "the host is none")?;
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err("the host is none");
    }
    Ok(authority)
}

fn path_and_query(target: &str) -> Result<PathAndQuery, Unclear> {
    if !target.starts_with('/') {
        return Err("the address does not begin with a slash");
    }
    // The parser drops what follows it without a word.
    if target.contains('#') {
        return Err("the address has a fragment");
    }
    target.parse().map_err(|_| "the address has characters that no address has")
}

/// What follows the endpoint's own path.
fn behind(proxy: Proxy, uri: &Uri) -> Result<&str, Unclear> {
    let whole = uri.path_and_query().map_or("", PathAndQuery::as_str);
    whole.strip_prefix(proxy.path()).ok_or("the address is not below the endpoint's")
}

/// The address that the proxy's client has, and what that client says of others before it.
fn client(headers: &HeaderMap) -> Result<(IpAddr, Option<HeaderValue>), Unclear> {
    let chain = one(headers, &FOR, "X-Forwarded-For is missing or doubled")?;
    let (others, last) = match chain.rsplit_once(',') {
        Some((others, last)) => (Some(others), last),
        None => (None, chain),
    };
    let last = last.trim();
    let with_port = || last.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = last.parse().ok().or_else(with_port);
    let address = address.ok_or("X-Forwarded-For does not end with an address")?;
    Ok((address, others.and_then(|others| HeaderValue::from_str(others).ok())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloakroom::{Head, TrustedProxies};
    use http::Request;

    type Lines<'a> = &'a [(&'a str, &'a str)];

    const COMPLETE: [(&str, &str); 5] = [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "Shop.Example:8443"),
        ("x-forwarded-uri", "/order/1?a=%20b"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    const COMMON: [Proxy; 4] = [Proxy::Nginx, Proxy::Traefik, Proxy::Caddy, Proxy::Haproxy];

    fn asking(uri: &str, lines: Lines<'_>) -> Parts {
        let mut request = Request::get(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn unclear(proxy: Proxy, uri: &str, lines: Lines<'_>) -> bool {
        matches!(read(proxy, &asking(uri, lines)), Err(Problem::BadRequest(_)))
    }

    /// `COMPLETE` with one header of another value.
    fn with<'a>(name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
        let lines = COMPLETE.iter().copied();
        lines.map(|line| if line.0 == name { (line.0, value) } else { line }).collect()
    }

    #[test]
    fn the_original_is_read_from_the_forwarded_headers() {
        for proxy in COMMON {
            let read = read(proxy, &asking(proxy.path(), &COMPLETE)).unwrap();
            assert_eq!(read.method, Method::POST);
            assert_eq!(read.uri, "https://shop.example:8443/order/1?a=%20b");
            assert_eq!(read.headers["host"], "shop.example:8443");
            let address = TrustedProxies::default().address(Head::from(&read));
            assert_eq!(address, Some([203, 0, 113, 9].into()));
        }
    }

    #[test]
    fn a_header_that_is_missing_or_doubled_is_refused() {
        for proxy in COMMON {
            for at in 0..COMPLETE.len() {
                let mut less = COMPLETE.to_vec();
                let line = less.remove(at);
                assert!(unclear(proxy, proxy.path(), &less), "without {}", line.0);
                let more = [&COMPLETE[..], &[line]].concat();
                assert!(unclear(proxy, proxy.path(), &more), "{} twice", line.0);
            }
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (name, value) in [
            ("x-forwarded-method", "GE T"),
            ("x-forwarded-method", ""),
            ("x-forwarded-method", "CONNECT"),
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", ""),
            ("x-forwarded-host", "shop.example, evil.example"),
            ("x-forwarded-host", "alice@shop.example"),
            ("x-forwarded-host", "shop.example/x"),
            ("x-forwarded-uri", "order"),
            ("x-forwarded-uri", "https://shop.example/order"),
            ("x-forwarded-uri", "*"),
            ("x-forwarded-uri", "/order#x"),
            ("x-forwarded-uri", "/order x"),
            ("x-forwarded-for", ""),
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", "203.0.113.9, "),
        ] {
            assert!(unclear(Proxy::Traefik, "/", &with(name, value)), "{name}: {value}");
        }
    }

    #[test]
    fn only_the_last_address_is_the_proxys_word() {
        let lines = with("x-forwarded-for", "6.6.6.6, 10.0.0.7, [2001:db8::1]:443");
        let read = read(Proxy::Caddy, &asking("/", &lines)).unwrap();
        let address = |proxies: TrustedProxies| proxies.address(Head::from(&read));
        assert_eq!(address(TrustedProxies::default()), Some("2001:db8::1".parse().unwrap()));
        let ours = ["2001:db8::/32", "10.0.0.0/8"].map(|network| network.parse().unwrap());
        assert_eq!(address(TrustedProxies::new(ours)), Some([6, 6, 6, 6].into()));
    }

    #[test]
    fn envoy_asks_with_the_request_itself() {
        let lines = [
            ("host", "shop.example"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-for", "203.0.113.9"),
            // Its client's, as they come.
            ("x-forwarded-uri", "/public"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-method", "GET"),
        ];
        let mut asking = asking("/.cloakroom/auth/envoy/order/1?a=b", &lines);
        asking.method = Method::DELETE;
        let read = read(Proxy::Envoy, &asking).unwrap();
        assert_eq!(read.method, Method::DELETE);
        assert_eq!(read.uri, "http://shop.example/order/1?a=b");
        assert_eq!(read.headers.get("x-forwarded-host"), None);
        assert!(unclear(Proxy::Envoy, "/.cloakroom/auth/envoy", &lines), "no path at all");
        assert!(unclear(Proxy::Envoy, "/.cloakroom/auth/envoyx", &lines), "another path");
    }

    #[test]
    fn the_gateways_own_pages_are_no_services() {
        let lines = with("x-forwarded-uri", "/.cloakroom/auth/nginx");
        assert_eq!(read(Proxy::Nginx, &asking("/", &lines)).unwrap_err(), Problem::Denied);
    }
}
