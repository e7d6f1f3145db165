//! `[[upstream]]`: the services behind the gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use crate::config::section::{At, Section};
use crate::config::surroundings::Surroundings;
use crate::config::trouble::Bad;
use crate::config::words;
use crate::proxy::{
    Authorities, Balance, HealthCheck, Scheme, ServerSettings, Timeouts, UpstreamSettings,
};
use crate::serve::Listen;

const MOST_WEIGHT: u64 = 1_000;
const MOST_RETRIES: u64 = 10;
const MOST_ANSWERS: u64 = 100;
const RETRIES: u32 = 2;
const COOKIE: &str = "cookie:";

/// Reads upstreams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    /// Where the gateway itself listens.
    pub(super) listen: &'a [Listen],
    pub(super) around: Surroundings<'a>,
}

impl Reader<'_> {
    /// All upstreams, and where their names stand.
    pub(super) fn read(self, sections: Vec<Section<'_>>) -> Vec<At<UpstreamSettings>> {
        let mut all: Vec<At<UpstreamSettings>> = Vec::new();
        for section in sections {
            let notes = section.notes;
            let Some(upstream) = self.upstream(section) else {
                continue;
            };
            if all.iter().any(|other| other.value.name == upstream.value.name) {
                let bad =
                    Bad::new(format!("there are two upstreams called {:?}", upstream.value.name));
                notes.error(&upstream.span, bad.help("give each a name of its own"));
            }
            all.push(upstream);
        }
        all
    }

    fn upstream(self, section: Section<'_>) -> Option<At<UpstreamSettings>> {
        let name = section.required("name", "\"shop\"", words::string);
        let servers = self.servers(&section);
        let shared = |value: &DeValue<'_>| words::text(value).map(Arc::<str>::from);
        let settings = UpstreamSettings {
            name: name.as_ref().map_or("", |name| &name.value).into(),
            authorities: self.authorities(&section, &servers),
            servers,
            balance: section.get("balance", balance).unwrap_or_default(),
            timeouts: section.table("timeouts").map(timeouts).unwrap_or_default(),
            health: section.table("health").and_then(health),
            retries: section.get("retries", words::number(0, MOST_RETRIES)).unwrap_or(RETRIES),
            keep_host: section.get("keep_host", words::switch).unwrap_or(true),
            audience: section.get("audience", shared),
            most_body: section.get("max_body", words::size),
        };
        section.close();
        Some(At { span: name?.span, value: settings })
    }

    fn servers(self, section: &Section<'_>) -> Vec<ServerSettings> {
        let values = section.values("servers");
        if values.is_empty() {
            let bad = Bad::new("`servers` is missing in [[upstream]]");
            let help = "write `servers = [\"http://127.0.0.1:3000\"]`";
            section.notes.error(&section.span, bad.help(help));
        }
        let mut all: Vec<ServerSettings> = Vec::new();
        for value in values {
            let Some(server) = one_server(section, value) else {
                continue;
            };
            let same =
                |other: &&ServerSettings| (&other.host, other.port) == (&server.host, server.port);
            if all.iter().find(same).is_some() {
                let bad = Bad::new("this server is in the list already");
                let help = "for more of the work write `{ url = \"...\", weight = 2 }`";
                section.notes.error(&value.span(), bad.help(help));
            }
            if is_own(&server, self.listen) {
                let bad = Bad::new("this server is the gateway itself: it listens there");
                section.notes.error(&value.span(), bad.help("name the service behind it"));
            }
            all.push(server);
        }
        all
    }

    fn authorities(self, section: &Section<'_>, servers: &[ServerSettings]) -> Option<Authorities> {
        let read = |value: &DeValue<'_>| {
            let text = words::text(value)?;
            let bad = |why| Bad::new(format!("{text} cannot be used: {why}"));
            Authorities::of_pem(&self.around.content(text)?).map_err(|why| {
                bad(why).help("name a PEM file with the certificate of each authority")
            })
        };
        let authorities = section.at("ca", read)?;
        if servers.iter().all(|server| server.scheme != Scheme::Https) {
            let bad = Bad::new("`ca` changes nothing here, as no server is spoken to by https");
            section.notes.warning(&authorities.span, bad.help("write https:// in `servers`"));
        }
        Some(authorities.value)
    }
}

/// Whether a server is plainly the gateway itself, which listens at these addresses.
pub(in crate::config) fn is_own(server: &ServerSettings, listen: &[Listen]) -> bool {
    let host = server.host.trim_matches(['[', ']']);
    let means: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) if host.eq_ignore_ascii_case("localhost") => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        Err(_) => return false,
    };
    let at = listen.iter().filter(|listen| listen.address.port() == server.port);
    at.map(|listen| listen.address.ip()).any(|own| {
        // What listens at all addresses listens at those of this machine; by IPv6, at both kinds.
        let all = |address: &IpAddr| own.is_unspecified() && (own.is_ipv6() || address.is_ipv4());
        let here = |address: &IpAddr| address.is_loopback() || address.is_unspecified();
        means.iter().any(|address| *address == own || (here(address) && all(address)))
    })
}

/// An upstream of one server, with everything else as it is by default.
pub(crate) fn plain(name: &str, server: ServerSettings) -> UpstreamSettings {
    UpstreamSettings {
        name: name.into(),
        servers: vec![server],
        authorities: None,
        balance: Balance::default(),
        timeouts: Timeouts::default(),
        health: None,
        retries: RETRIES,
        keep_host: true,
        audience: None,
        most_body: None,
    }
}

/// A server's URL, or a table with that and a weight.
fn one_server<'a>(
    section: &Section<'a>,
    value: &'a Spanned<DeValue<'a>>,
) -> Option<ServerSettings> {
    let Some(inner) = section.inner(value) else {
        return section.read(value, |value| server(words::text(value)?)).map(|at| at.value);
    };
    let read = |value| server(words::text(value)?);
    let url = inner.required("url", "\"http://127.0.0.1:3000\"", read);
    let weight = inner.get("weight", words::number(1, MOST_WEIGHT)).unwrap_or(1);
    inner.close();
    Some(ServerSettings { weight, ..url?.value })
}

/// Reads the URL of a server: a scheme, a host and a port. No error repeats it.
pub(in crate::config) fn server(text: &str) -> Result<ServerSettings, Bad> {
    let help = "write \"http://HOST:PORT\"; https:// and h2c:// are known, too";
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("h2c", rest)) => (Scheme::H2c, rest),
        _ => return Err(Bad::new("this is no URL of a server").help(help)),
    };
    let known = if scheme == Scheme::Https { "https" } else { "http" };
    let bad = || Bad::new("this is no URL of a server").help(help);
    let url = Url::parse(&format!("{known}://{rest}")).map_err(|_| bad())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Bad::new("a server's URL has no user and no password").help(help));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(Bad::new("a server's URL has no path: requests keep theirs").help(help));
    }
    let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or_else(bad)?;
    if port == 0 {
        return Err(bad());
    }
    Ok(ServerSettings { scheme, host: host.to_owned(), port, weight: 1 })
}

fn balance(value: &DeValue<'_>) -> Result<Balance, Bad> {
    let words = [
        ("round-robin", Balance::RoundRobin),
        ("least-connections", Balance::LeastConnections),
        ("sticky", Balance::Sticky),
    ];
    let Some(name) = words::text(value)?.strip_prefix(COOKIE) else {
        return words::one_of(&words)(value).map_err(|Bad { what, help }| {
            let help = help.map(|help| words::or(help, "cookie:NAME"));
            Bad { what, help }
        });
    };
    // What a cookie's name may be is what a header's may.
    let is_name = http::HeaderName::try_from(name).is_ok();
    match is_name {
        true => Ok(Balance::Cookie(name.to_owned())),
        false => Err(Bad::new("behind `cookie:` stands the name of a cookie")),
    }
}

fn timeouts(section: Section<'_>) -> Timeouts {
    let usual = Timeouts::default();
    let timeouts = Timeouts {
        connect: section.get("connect", words::duration).unwrap_or(usual.connect),
        response: section.get("response", words::duration).unwrap_or(usual.response),
        body_idle: section.get("body_idle", words::duration).unwrap_or(usual.body_idle),
        keep_alive: section.get("keep_alive", words::duration).unwrap_or(usual.keep_alive),
        upgraded_idle: section.get("upgraded_idle", words::duration).unwrap_or(usual.upgraded_idle),
    };
    section.close();
    timeouts
}

fn health(section: Section<'_>) -> Option<HealthCheck> {
    let path = section.required("path", "\"/health\"", path_and_query);
    let answers = || words::number(1, MOST_ANSWERS);
    let every = section.get("every", words::duration).unwrap_or(Duration::from_secs(5));
    let timeout = section.get("timeout", words::duration).unwrap_or(Duration::from_secs(2));
    let up_after = section.get("up_after", answers()).unwrap_or(2);
    let down_after = section.get("down_after", answers()).unwrap_or(3);
    section.close();
    Some(HealthCheck { path: path?.value, every, timeout, up_after, down_after })
}

fn path_and_query(value: &DeValue<'_>) -> Result<String, Bad> {
    let text = words::text(value)?;
    let good = text.starts_with('/') && text.parse::<http::uri::PathAndQuery>().is_ok();
    match good {
        true => Ok(text.to_owned()),
        false => Err(Bad::new("this is no path").help("write one such as \"/health\"")),
    }
}
