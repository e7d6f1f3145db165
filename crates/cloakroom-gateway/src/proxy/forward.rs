//! Forwards one request: chooses a server, sends it there, and tries another where that can do no
//! harm.

mod attempt;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use cloakroom::PeerAddr;
use http::header::{CONNECTION, COOKIE, HOST, SET_COOKIE, TE, UPGRADE};
use http::request::Parts;
use http::uri::{PathAndQuery, Scheme as UriScheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use hyper::upgrade::OnUpgrade;

use self::attempt::{Lost, Why, attempt};
use super::balance::Key;
use super::body::{Cut, Download, Upload};
use super::headers::{Borders, Client, TRAILERS, Wish, wish};
use super::server::Server;
use super::upgrade::{Ends, Vigil};
use super::upstream::{Lead, Upstream};
use super::{Balance, Scheme, upgrade};
use crate::pages::Problem;
use crate::serve::ConnectionGuard;

/// The most gateways like this one that a request comes through; more are the same again and again.
const MOST_HOPS: usize = 5;

/// A request on its way to an upstream.
#[derive(Debug)]
pub(super) struct Errand<'p> {
    /// The path in its one spelling.
    pub(super) path: &'p str,
    pub(super) request: Request<Body>,
    pub(super) identity: Vec<(HeaderName, HeaderValue)>,
    pub(super) affinity: Option<String>,
    pub(super) client: Option<IpAddr>,
    pub(super) https: bool,
    /// The login that lets a connection go on with another protocol, where one is asked for.
    pub(super) vigil: Option<Vigil>,
}

/// What is sent, to whichever server.
struct Going {
    method: Method,
    target: PathAndQuery,
    /// The client's host among them.
    headers: HeaderMap,
    wish: Wish,
}

/// As many headers as are added on the way, or a few more.
const ADDED: usize = 12;

/// Forwards a request, and completes with the head of its response.
pub(super) async fn forward(
    upstream: &Upstream,
    borders: &Arc<Borders>,
    errand: Errand<'_>,
) -> Result<Response<Body>, Problem> {
    let Errand { path, request, identity, affinity, client, https, vigil } = errand;
    let (mut parts, body) = request.into_parts();
    let most = upstream.settings.most_body;
    if most.is_some_and(|most| http_body::Body::size_hint(&body).lower() > most) {
        return Err(Problem::TooLarge);
    }
    let idle = upstream.settings.timeouts.body_idle;
    let upload = Upload::new(body, most, idle, || borders.trailers());
    let cookie = affinity_cookie(upstream).and_then(|name| brought(&parts.headers, name));
    let lead = Lead { key: key(upstream, affinity, client), cookie: cookie.as_deref() };
    let ours = parts.extensions.remove::<OnUpgrade>();
    let guard = parts.extensions.remove::<ConnectionGuard>();
    let going = prepare(upstream, borders, parts, path, https, identity)?;
    let (mut response, server) = deliver(upstream, &going, upload, lead).await?;
    let ends = Ends { vigil, idle: upstream.settings.timeouts.upgraded_idle };
    let switched = upgrade::switch(&mut response, &going.wish, ours, guard, ends);
    let switched = switched.inspect_err(|_| {
        let (upstream, server) = (&*upstream.settings.name, &server.settings);
        tracing::warn!(upstream, %server, "a server goes on with a protocol that nobody asked for");
    })?;
    // The version is one of the connection that it came by, not of the client's.
    *response.version_mut() = Version::HTTP_11;
    borders.outbound(response.headers_mut(), affinity_cookie(upstream));
    if let Some(protocol) = switched {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(UPGRADE, protocol);
    }
    if let Some(name) = affinity_cookie(upstream)
        && !cookie.is_some_and(|cookie| server.id.is(&cookie))
    {
        set_affinity(response.headers_mut(), name, &server, https);
    }
    Ok(response.map(into_body))
}

fn into_body(download: Download) -> Body {
    match http_body::Body::is_end_stream(&download) {
        true => Body::empty(),
        false => Body::new(download),
    }
}

/// Sends it to one server after the other, until one answers or no other may be tried.
async fn deliver(
    upstream: &Upstream,
    going: &Going,
    upload: Upload,
    lead: Lead<'_>,
) -> Result<(Response<Download>, Arc<Server>), Problem> {
    let progress = upload.progress();
    let repeatable = progress.is_none() && going.method.is_idempotent();
    let (mut upload, mut tried) = (Some(upload), Vec::new());
    let mut problem = Problem::UpstreamAway;
    // A server that the request goes to once more, by a new connection.
    let mut again: Option<Arc<Server>> = None;
    while tried.len() <= upstream.settings.retries as usize {
        let fresh = again.is_some();
        let chosen = again.take().or_else(|| upstream.choose(lead, &tried).map(Arc::clone));
        let Some(server) = chosen else {
            return Err(problem);
        };
        let request = going.request(&server, upstream.settings.keep_host, upload.take());
        let request = Box::new(request);
        let (timeouts, since) = (&upstream.settings.timeouts, server.health.begin());
        let sent = attempt(&server, timeouts, request, &going.wish, fresh, since);
        let lost = match sent.await {
            Ok(response) => return Ok((response, server)),
            Err(lost) => lost,
        };
        if let Some(cut) = progress.as_ref().and_then(|progress| progress.cut()) {
            return Err(upload_problem(cut));
        }
        lost.why.note(&server, since);
        problem = lost.why.problem();
        let goes_on = lost.unsent.is_some() || (repeatable && !lost.why.is_late());
        // A connection that had waited may have been closed at that moment: this says nothing of
        // the server.
        let stale = lost.why == Why::Stale;
        if !(stale && goes_on) {
            log(upstream, &server, &lost);
        }
        if !goes_on {
            return Err(problem);
        }
        upload = lost.unsent.map(|request| (*request).into_body());
        if stale {
            again = Some(server);
        } else {
            tried.push(server);
        }
    }
    Err(problem)
}

fn log(upstream: &Upstream, server: &Server, lost: &Lost) {
    let (upstream, server, cause) = (&*upstream.settings.name, &server.settings, &lost.cause);
    tracing::warn!(upstream, %server, %cause, "{}", lost.why.says());
}

fn prepare(
    upstream: &Upstream,
    borders: &Borders,
    parts: Parts,
    path: &str,
    secure: bool,
    identity: Vec<(HeaderName, HeaderValue)>,
) -> Result<Going, Problem> {
    let Parts { method, uri, version, mut headers, extensions, .. } = parts;
    let wish = wish(&headers, version);
    let named = || HeaderValue::from_str(uri.authority()?.as_str()).ok();
    let host = headers.get(HOST).cloned().or_else(named);
    // Where there is no room for more, each of them says so.
    _ = headers.try_reserve(ADDED);
    let peer = extensions.get().map(|PeerAddr(address)| *address);
    let client = Client { peer, https: secure, host: host.as_ref(), version };
    let hops = borders.inbound(&mut headers, &client, affinity_cookie(upstream));
    if hops > MOST_HOPS {
        let upstream = &*upstream.settings.name;
        tracing::warn!(upstream, hops, "a request goes in a circle, or its sender says so in Via");
        return Err(Problem::Circle);
    }
    for (name, value) in identity {
        headers.insert(name, value);
    }
    // `Connection` cannot have it left out.
    if let Some(host) = host {
        headers.insert(HOST, host);
    }
    let target = target(&uri, path).ok_or(Problem::BadRequest("the address is too long"))?;
    Ok(Going { method, target, headers, wish })
}

/// The path that was permitted, and the query as it came.
fn target(uri: &Uri, path: &str) -> Option<PathAndQuery> {
    match (uri.path_and_query(), uri.query()) {
        (Some(whole), _) if whole.path() == path => Some(whole.clone()),
        (_, None) => path.parse().ok(),
        (_, Some(query)) => PathAndQuery::try_from(format!("{path}?{query}")).ok(),
    }
}

impl Going {
    fn request(&self, server: &Server, keep_host: bool, upload: Option<Upload>) -> Request<Upload> {
        let mut request = Request::new(upload.unwrap_or_default());
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        if !keep_host || !headers.contains_key(HOST) {
            headers.insert(HOST, server.host.clone());
        }
        match server.settings.scheme {
            Scheme::H2c => {
                let host = headers.remove(HOST);
                *request.uri_mut() = self.absolute(server, host.as_ref());
            }
            Scheme::Http | Scheme::Https => {
                self.connection(headers);
                *request.uri_mut() = self.target.clone().into();
            }
        }
        if self.wish.trailers {
            request.headers_mut().insert(TE, TRAILERS);
        }
        request
    }

    /// Says what the next connection is to do, by HTTP/1.1.
    fn connection(&self, headers: &mut HeaderMap) {
        if let Some(protocol) = &self.wish.upgrade {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(UPGRADE, protocol.clone());
        } else if self.wish.trailers {
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
    }

    /// The address as HTTP/2 wants it.
    fn absolute(&self, server: &Server, host: Option<&HeaderValue>) -> Uri {
        let authority = host.and_then(|host| host.to_str().ok()?.parse().ok());
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(UriScheme::HTTP);
        parts.authority = Some(authority.unwrap_or_else(|| server.authority.clone()));
        parts.path_and_query = Some(self.target.clone());
        Uri::from_parts(parts).unwrap_or_default()
    }
}

fn upload_problem(cut: Cut) -> Problem {
    match cut {
        Cut::TooLarge => Problem::TooLarge,
        Cut::Slow => Problem::TooSlow,
        Cut::Broken => Problem::BadRequest("the body ended before its end"),
    }
}

fn key(upstream: &Upstream, affinity: Option<String>, client: Option<IpAddr>) -> Option<Key> {
    if upstream.settings.balance != Balance::Sticky {
        return None;
    }
    let address = || client.map(|address| Key::of(address.to_string().as_bytes()));
    affinity.map(|affinity| Key::of(affinity.as_bytes())).or_else(address)
}

fn affinity_cookie(upstream: &Upstream) -> Option<&str> {
    match &upstream.settings.balance {
        Balance::Cookie(name) => Some(name),
        _ => None,
    }
}

fn brought(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let lines = headers.get_all(COOKIE).into_iter();
    lines
        .flat_map(|line| cloakroom::cookies::values(line.as_bytes(), name))
        .next()
        .map(<[u8]>::to_vec)
}

fn set_affinity(headers: &mut HeaderMap, name: &str, server: &Server, https: bool) {
    let secure = if https { "; Secure" } else { "" };
    let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax{secure}", server.id);
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}
