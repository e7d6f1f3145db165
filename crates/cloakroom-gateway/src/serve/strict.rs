//! Refuses requests that one reader could take for something else than another (RFC 9112, RFC 9113).

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method, Uri, Version};

use super::tape::TwoLengths;

/// What a request is for, read strictly.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target<'r> {
    /// The host's name in lower case, without a port; empty where HTTP/1.0 names none.
    pub(crate) host: Cow<'r, str>,
}

impl<'r> Target<'r> {
    /// Reads it, or says why the request cannot be meant.
    pub(crate) fn of(request: &'r Parts) -> Result<Self, &'static str> {
        if request.extensions.get::<TwoLengths>().is_some() {
            return Err("its length can be read in two ways");
        }
        if request.method == Method::CONNECT {
            return Err("it asks for a tunnel");
        }
        if is_misspelled(&request.method) {
            return Err("its method is written in the wrong case");
        }
        if request.uri.path() == "*" {
            return Err("it asks for no path");
        }
        if request.uri.scheme_str().is_some_and(|scheme| !matches!(scheme, "http" | "https")) {
            return Err("its address is of another scheme");
        }
        let authority = authority(&request.uri, &request.headers, request.version)?;
        let host = name(authority).ok_or("its host is no host")?;
        Ok(Self { host: lower(host) })
    }
}

/// Whether it is a known method but for the case of its letters: to rules another one, and to some
/// services the same.
fn is_misspelled(method: &Method) -> bool {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::CONNECT,
    ];
    let lower = method.as_str().bytes().any(|byte| byte.is_ascii_lowercase());
    lower && KNOWN.iter().any(|known| known.as_str().eq_ignore_ascii_case(method.as_str()))
}

/// The one authority that a request names; empty where HTTP/1.0 names none.
fn authority<'r>(
    uri: &'r Uri,
    headers: &'r HeaderMap,
    version: Version,
) -> Result<Option<&'r str>, &'static str> {
    let mut hosts = headers.get_all(HOST).into_iter();
    let host = hosts.next().map(|host| host.to_str().map_err(|_| "its host is no host"));
    let host = host.transpose()?;
    if hosts.next().is_some() {
        return Err("it names several hosts");
    }
    let asked = uri.authority().map(http::uri::Authority::as_str);
    match (host, asked) {
        (Some(host), Some(asked)) if !host.eq_ignore_ascii_case(asked) => {
            Err("it names two different hosts")
        }
        (None, _) if version == Version::HTTP_11 => Err("it names no host"),
        (None, None) if version == Version::HTTP_10 => Ok(None),
        (None, None) => Err("it names no host"),
        (host, asked) => Ok(host.or(asked)),
    }
}

/// The name in an authority, where it is one of a host, and with a port that is one.
fn name(authority: Option<&str>) -> Option<&str> {
    let Some(authority) = authority else {
        return Some("");
    };
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')? + 2;
            let (name, port) = authority.split_at(end);
            rest[..end - 2].parse::<std::net::Ipv6Addr>().ok()?;
            (name, port.strip_prefix(':').or_else(|| port.is_empty().then_some("0")))
        }
        None => match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, Some("0")),
        },
    };
    let port = port.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
    let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let good = name.starts_with('[') || (!name.is_empty() && name.bytes().all(usual));
    let name = name.strip_suffix('.').unwrap_or(name);
    (good && !name.is_empty() && port.parse::<u16>().is_ok()).then_some(name)
}

fn lower(host: &str) -> Cow<'_, str> {
    match host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => host.to_ascii_lowercase().into(),
        false => host.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn of(version: Version, uri: &str, hosts: &[&str]) -> Result<String, &'static str> {
        let mut request = Request::get(uri).version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (request, ()) = request.body(()).unwrap().into_parts();
        Target::of(&request).map(|target| target.host.into_owned())
    }

    #[test]
    fn a_request_names_one_host() {
        let first = |uri: &str, hosts: &[&str]| of(Version::HTTP_11, uri, hosts);
        let host = |name: &str| Ok(name.to_owned());
        assert_eq!(first("/", &["Example.ORG:8080"]), host("example.org"));
        assert_eq!(first("/", &["[::1]:8080"]), host("[::1]"));
        assert_eq!(first("/", &["example.org."]), host("example.org"));
        assert_eq!(first("http://Example.org/", &["example.org"]), host("example.org"));
        assert!(first("/", &[]).is_err());
        assert!(first("http://example.org/", &[]).is_err());
        assert!(first("/", &["a", "a"]).is_err());
        assert!(first("http://a/", &["b"]).is_err());
        assert!(first("http://a:80/", &["a"]).is_err());
        assert_eq!(of(Version::HTTP_10, "/", &[]), host(""));
        assert_eq!(of(Version::HTTP_2, "https://a/", &[]), host("a"));
        assert!(of(Version::HTTP_2, "https://a/", &["b"]).is_err());
        assert!(of(Version::HTTP_2, "/", &[]).is_err());
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in [
            "", ":80", ".", "a b", "a/b", "user@a", "a:", "a:b", "a:-1", "a:65536", "a:80:80",
            "::1", "[::1", "[::1]80", "[a]", "a,b", "a%2eb", "a\\b", "a?b", "a#b",
        ] {
            assert!(of(Version::HTTP_11, "/", &[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_tunnels_and_no_stars() {
        let asking = |method: &str, uri: &str| {
            let request = Request::builder().method(method).uri(uri).header(HOST, "a");
            Target::of(&request.body(()).unwrap().into_parts().0).is_err()
        };
        assert!(asking("CONNECT", "a"));
        assert!(asking("connect", "a"));
        assert!(asking("OPTIONS", "*"));
        assert!(asking("GET", "ftp://a/"));
        assert!(!asking("OPTIONS", "/"));
    }

    #[test]
    fn a_method_is_written_as_it_is_known() {
        let of = |method: &str| {
            let request = Request::builder().method(method).uri("/").header(HOST, "a");
            Target::of(&request.body(()).unwrap().into_parts().0).is_ok()
        };
        for method in ["get", "Post", "dELETE", "pATCH", "head", "options", "trace", "put"] {
            assert!(!of(method), "{method}");
            assert!(of(&method.to_uppercase()), "{method}");
        }
        assert!(of("PROPFIND") && of("m-search"), "of others the case is theirs");
    }
}
