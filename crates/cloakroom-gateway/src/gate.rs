//! Every request's way: its path is made canonical, the first rule that matches decides, its
//! session is opened where that makes a difference, and what may pass is forwarded.

mod ask;
mod body;
mod keeper;

use std::borrow::Cow;
use std::net::IpAddr;

use axum::body::Body;
use cloakroom::{Head, Session, TrustedProxies};
use http::header::{CACHE_CONTROL, SET_COOKIE, UPGRADE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response};

pub(crate) use keeper::{Gatekeeper, OWN, Passing};

use crate::access::{Asked, BadPath, Folding, Path, Permit, Rule, Rules, Verdict};
use crate::identity::Teller;
use crate::login::{Desk, Recognised};
use crate::pages::Problem;
use crate::proxy::{Fleet, Order, Vigil};
use crate::serve::Target;
use crate::visitor::Visitor;

/// What shared caches heed before `Cache-Control` (RFC 9213).
const FOR_SHARED_CACHES: [HeaderName; 2] =
    [HeaderName::from_static("cdn-cache-control"), HeaderName::from_static("surrogate-control")];

/// What requests meet: one configuration, put together.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) rules: Rules,
    pub(crate) folding: Folding,
    /// The hosts that are served; empty: any.
    pub(crate) hosts: Vec<String>,
    pub(crate) proxies: TrustedProxies,
    pub(crate) fleet: Fleet,
    pub(crate) teller: Teller,
    pub(crate) desk: Desk,
}

/// What became of a request at the rules.
enum Judged {
    /// It may pass, and this is who asks.
    Passes(Box<Pass>),
    /// Its sender is sent to the login, or told to sign in.
    SignsIn(Response<Body>),
}

/// A request that may pass.
struct Pass {
    permit: Permit,
    visitor: Visitor,
    address: Option<IpAddr>,
    /// What an upgraded connection ends with.
    vigil: Option<Vigil>,
    /// Cookies to set where the request is served.
    cookies: Vec<HeaderValue>,
}

impl Gate {
    /// Lets a request through to its service, or says why not.
    async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let (parts, body) = request.into_parts();
        let host = self.host(&parts)?;
        let judged = self.judge(Head::from(&parts), &host).await?;
        let Pass { permit, visitor, address, vigil, cookies } = match judged {
            Judged::Passes(pass) => *pass,
            Judged::SignsIn(response) => return Ok(response),
        };
        let https = self.proxies.https(Head::from(&parts));
        let wants = self.fleet.wants(permit.rule());
        let order = Order {
            identity: self.teller.tell(&visitor, wants.audience),
            affinity: wants.affinity.then(|| visitor.affinity()).flatten(),
            permit,
            request: Request::from_parts(parts, body),
            client: address,
            https,
            vigil,
        };
        let mut response = self.fleet.forward(order).await?;
        set(&mut response, cookies);
        Ok(response)
    }

    /// The host that a request is for, where it names one, and one that is served.
    fn host<'r>(&self, parts: &'r Parts) -> Result<Cow<'r, str>, Problem> {
        let host = Target::of(parts).map_err(Problem::BadRequest)?.host;
        match self.hosts.is_empty() || self.hosts.iter().any(|served| **served == *host) {
            true => Ok(host),
            false => Err(Problem::WrongHost),
        }
    }

    /// Judges a request by the rules, and opens its session where that makes a difference.
    async fn judge(&self, head: Head<'_>, host: &str) -> Result<Judged, Problem> {
        let path =
            Path::of(head.uri, self.folding).map_err(|BadPath(why)| Problem::BadRequest(why))?;
        // Another spelling of the gateway's own pages is nobody's: no service answers for them.
        if path.as_str().starts_with(OWN) {
            return Err(Problem::NotFound);
        }
        if self.rules.misspells(head.method) {
            return Err(Problem::BadRequest("its method is written in the wrong case"));
        }
        let address = self.proxies.address(head);
        let asked = Asked { method: head.method, host, path: &path, address };
        let rule = self.rules.first(&asked).ok_or(Problem::Denied)?;
        let session = self.session(head, rule).await?;
        let known = self.desk.recognise(head, session.as_ref(), address, rule.anonymous_id);
        let Recognised { visitor, cookies } = known;
        match rule.judge(&asked, &visitor) {
            Verdict::Permit(permit) => {
                let vigil = vigil(head, rule, session.as_ref());
                Ok(Judged::Passes(Box::new(Pass { permit, visitor, address, vigil, cookies })))
            }
            Verdict::SignIn => self.desk.sign_in_first(head).await.map(Judged::SignsIn),
            Verdict::RoleMissing => Err(Problem::RoleMissing),
            Verdict::WrongAddress => Err(Problem::WrongAddress),
            Verdict::Denied => Err(Problem::Denied),
        }
    }

    /// The request's session. Where it makes no difference to the verdict who asks, a store that
    /// does not answer makes nobody of them.
    async fn session(&self, head: Head<'_>, rule: &Rule) -> Result<Option<Session>, Problem> {
        if rule.denies() {
            return Ok(None);
        }
        match cloakroom::session(head).await {
            Ok(session) => Ok(Some(session)),
            Err(refusal) => match Problem::of(&refusal) {
                Problem::StoreAway if !rule.asks_who() => Ok(None),
                problem => Err(problem),
            },
        }
    }
}

/// What a connection that goes on with another protocol ends with: the login that its rule asks for.
fn vigil(head: Head<'_>, rule: &Rule, session: Option<&Session>) -> Option<Vigil> {
    let asked = rule.asks_who() && head.headers.contains_key(UPGRADE);
    session.filter(|_| asked)?.live().map(Vigil::new)
}

/// Sets cookies on a response, which no cache may then give to anybody else.
fn set(response: &mut Response<Body>, cookies: Vec<HeaderValue>) {
    if cookies.is_empty() {
        return;
    }
    let headers = response.headers_mut();
    for name in FOR_SHARED_CACHES {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_with_a_cookie_of_ours_is_in_no_cache() {
        let cached = || {
            let response = Response::builder().header("cache-control", "public, max-age=60");
            let response = response.header("cdn-cache-control", "max-age=60");
            let response = response.header("surrogate-control", "max-age=60");
            response.header("set-cookie", "theme=dark").body(Body::empty()).unwrap()
        };
        let mut response = cached();
        set(&mut response, Vec::new());
        assert_eq!(response.headers(), cached().headers(), "it is the service's to say");
        set(&mut response, vec![HeaderValue::from_static("visitor=1")]);
        let headers = response.headers();
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
        let caches = headers.get_all("cache-control").iter().collect::<Vec<_>>();
        assert_eq!(caches, ["private, no-store"]);
        assert!(FOR_SHARED_CACHES.iter().all(|name| !headers.contains_key(name)));
    }
}
