//! Where visitors are recognised, sent to the login and back.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use cloakroom::{Head, KeyRing, Session, Sessions, TrustedProxies};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use super::anonymous::Visitors;
use super::flow::{Browser, Flows};
use super::places::Places;
use super::theme::Look;
use super::throttle::Throttle;
use super::users::{Name, Password, Users};
use super::{LoginSettings, binding, routes, target};
use crate::fault::Fault;
use crate::pages::{Brand, Problem, guard};
use crate::visitor::{User, Visitor};

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Recognises visitors and serves the pages of the login. Clones are the same desk.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    inner: Arc<Inner>,
}

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(super) sessions: Sessions,
    pub(super) settings: LoginSettings,
    pub(super) proxies: TrustedProxies,
    pub(super) users: Users,
    pub(super) throttle: Throttle,
    pub(super) flows: Flows,
    pub(super) look: Look,
    pub(super) places: Option<Places>,
    /// The origins that forms may lead to, beside their own.
    pub(super) form_origins: Vec<String>,
    visitors: Visitors,
}

impl std::ops::Deref for Desk {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

/// A visitor, and what their response has to carry.
#[derive(Debug, Default)]
pub(crate) struct Recognised {
    pub(crate) visitor: Visitor,
    /// Cookies to set where the request is served: the anonymous visitor's, made or cleared.
    pub(crate) cookies: Vec<HeaderValue>,
}

impl Desk {
    /// Reads the theme. `keyring`: seals what browsers keep. `insecure_plain_http`: whether cookies
    /// have to travel over plain HTTP, too.
    pub(crate) fn new(
        sessions: Sessions,
        settings: LoginSettings,
        keyring: KeyRing,
        proxies: TrustedProxies,
        insecure_plain_http: bool,
        users: Users,
    ) -> Result<Self, Fault> {
        let inner = Inner {
            throttle: Throttle::new(sessions.clone(), settings.throttling),
            flows: Flows::new(sessions.clone(), keyring.clone(), insecure_plain_http),
            visitors: Visitors::new(keyring, insecure_plain_http),
            look: Look::read(&settings.theme)?,
            places: settings.places.as_deref().map(Places::open).transpose()?,
            form_origins: settings
                .return_hosts
                .iter()
                .map(|host| format!("https://{host}"))
                .collect(),
            sessions,
            settings,
            proxies,
            users,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Makes the first user where there is none at all: their name, and the password to be shown
    /// once.
    pub(crate) async fn first_admin(&self) -> Result<Option<(Name, Password)>, Fault> {
        self.users.first_admin().await
    }

    /// The names of the cookies that are the gateway's own, beside the session's.
    pub(crate) fn cookie_names(&self) -> [&str; 2] {
        [self.flows.cookie_name(), self.visitors.cookie_name()]
    }

    /// Whose pages these are.
    pub(crate) fn brand(&self) -> &Brand {
        &self.look.brand
    }

    /// Who asks. `session`: as it was opened; it may be empty. A session that is bound to another
    /// address counts as nobody's. `anonymous_id`: whether somebody who is not signed in gets an id,
    /// which costs no call to the store.
    pub(crate) fn recognise(
        &self,
        head: Head<'_>,
        session: Option<&Session>,
        address: Option<IpAddr>,
        anonymous_id: bool,
    ) -> Recognised {
        let user = session.and_then(|session| self.user(session, address));
        let now = self.sessions.now();
        let (anonymous, cookie) = match (&user, anonymous_id) {
            // Both ids are told once: whoever kept a cart under the one gives it to the other.
            (Some(_), _) => match self.visitors.known(head.headers, now) {
                Some(id) => (Some(id), self.visitors.clear()),
                None => (None, None),
            },
            (None, true) => {
                let (id, cookie) = self.visitors.known_or_new(head.headers, now);
                (Some(id), cookie)
            }
            (None, false) => (None, None),
        };
        Recognised { visitor: Visitor { user, anonymous }, cookies: cookie.into_iter().collect() }
    }

    /// Who is signed in, unless their session is bound to another address.
    pub(super) fn user(&self, session: &Session, address: Option<IpAddr>) -> Option<User> {
        let id = session.principal()?;
        if !binding::holds(self.settings.binding, || session.address(), address) {
            let key = session.key().map(|key| key.to_string());
            tracing::warn!(key, "a session came from another address than it is bound to");
            return None;
        }
        Some(User {
            id,
            roles: session.roles(),
            session: session.key(),
            authenticated_at: session.authenticated_at(),
        })
    }

    /// What somebody gets who has to sign in: a browser that navigates is sent to the login page,
    /// and comes back to where it wanted to go; others get 401. Asks the store for the former,
    /// which writes nothing for a browser's first.
    pub(crate) async fn sign_in_first(&self, head: Head<'_>) -> Result<Response<Body>, Problem> {
        let path = head.uri.path_and_query().map_or(target::START, |whole| whole.as_str());
        self.sign_in_for(head, path).await
    }

    /// As [`Self::sign_in_first`], for somebody who wanted to go to `to`: a path of this host, or an
    /// address of one that may be returned to. Elsewhere nobody is sent.
    pub(crate) async fn sign_in_for(
        &self,
        head: Head<'_>,
        to: &str,
    ) -> Result<Response<Body>, Problem> {
        if head.is_navigation() {
            let to = target::safe(to, &self.settings.return_hosts);
            let browser = self.flows.browser(head.headers);
            return to_login(browser, to.as_deref().unwrap_or(target::START)).await;
        }
        // A form that somebody has sent cannot be sent again by itself: they are told what to do.
        let shown = head.headers.get(FETCH_MODE).is_some_and(|mode| mode == "navigate");
        match shown && *head.method != Method::GET {
            true => Err(Problem::NotSignedIn),
            false => Ok(Problem::NotSignedIn.json()),
        }
    }

    /// The pages and the JSON below `/.cloakroom/`: login, logout, me.
    pub(crate) fn router(&self) -> Router {
        routes::router(self)
    }
}

/// Begins a login that leads to `to`, and sends the browser there.
pub(super) async fn to_login(mut browser: Browser, to: &str) -> Result<Response<Body>, Problem> {
    let id = browser.begin(to).await?;
    let response = sent(StatusCode::FOUND, &format!("{}?flow={id}", routes::LOGIN))?;
    Ok(with_cookie(response, browser.cookie))
}

/// Sends a browser elsewhere.
pub(super) fn sent(status: StatusCode, to: &str) -> Result<Response<Body>, Problem> {
    let to = HeaderValue::try_from(to).map_err(|_| Problem::Broken)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, to);
    guard(response.headers_mut());
    Ok(response)
}

pub(super) fn with_cookie(
    mut response: Response<Body>,
    cookie: Option<HeaderValue>,
) -> Response<Body> {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
