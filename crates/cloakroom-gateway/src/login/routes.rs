//! The login's paths, what stands before each of them, and what every answer is made into.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{delete, get, post};
use cloakroom::{Head, Session};
use http::header::{ALLOW, CACHE_CONTROL, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::desk::Desk;
use super::{api, forms, me};
use crate::pages::{LOGO_PATH, Language, Problem, Reader, THEME_PATH, guard};
use crate::visitor::User;

pub(super) const LOGIN: &str = "/.cloakroom/login";
pub(super) const LOGOUT: &str = "/.cloakroom/logout";
pub(super) const ME: &str = "/.cloakroom/me";
pub(super) const END: &str = "/.cloakroom/me/end";
pub(super) const END_OTHERS: &str = "/.cloakroom/me/end-others";
const API: &str = "/.cloakroom/api/";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The most bytes of a request's body.
const BODY_BYTES: usize = 16 * 1024;

pub(super) fn router(desk: &Desk) -> Router {
    let routes = Router::new()
        .route(LOGIN, get(forms::show).post(forms::log_in))
        .route(LOGOUT, get(forms::confirm).post(forms::log_out))
        .route(ME, get(me::show))
        .route(END, post(me::end))
        .route(END_OTHERS, post(me::end_others))
        .route("/.cloakroom/api/login", post(api::log_in))
        .route("/.cloakroom/api/logout", post(api::log_out))
        .route("/.cloakroom/api/me", get(api::me))
        .route("/.cloakroom/api/sessions", get(api::sessions).delete(api::end_others))
        .route("/.cloakroom/api/sessions/{key}", delete(api::end))
        .route(THEME_PATH, get(style))
        .route(LOGO_PATH, get(logo));
    // Refuses what another site's page wants changed here. Programs that are no browser send neither
    // of the headers that tell, and pass; for forms see `Asked::is_from_our_page`.
    routes
        .layer(CsrfLayer::new())
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn_with_state(desk.clone(), dress))
        .with_state(desk.clone())
}

async fn style(State(desk): State<Desk>) -> Response {
    desk.look.style()
}

async fn logo(State(desk): State<Desk>) -> Result<Response, Problem> {
    desk.look.logo().ok_or(Problem::NotFound)
}

/// Makes of a problem what its reader can read, and sets what every answer carries.
async fn dress(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let by_program = request.uri().path().starts_with(API);
    let response = next.run(request).await;
    let Some(problem) = problem(&response) else {
        return guarded(response);
    };
    let reader = Reader { headers: &headers };
    let mut dressed = match !by_program && reader.wants_page() {
        true => problem.page(Language::of(&headers), &desk.look.brand),
        false => problem.json(),
    };
    if let Some(allow) = response.headers().get(ALLOW) {
        dressed.headers_mut().insert(ALLOW, allow.clone());
    }
    dressed
}

fn problem(response: &Response) -> Option<Problem> {
    let extensions = response.extensions();
    if extensions.get::<ProtectionError>().is_some() {
        return Some(Problem::CrossSite);
    }
    let not_allowed = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    extensions.get().copied().or(not_allowed.then_some(Problem::MethodNotAllowed))
}

fn guarded(mut response: Response) -> Response {
    if !response.headers().contains_key(CACHE_CONTROL) {
        guard(response.headers_mut());
    }
    response
}

/// A request for one of the login's pages.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) language: Language,
    pub(super) headers: HeaderMap,
    /// It may be empty.
    pub(super) session: Session,
    pub(super) address: Option<IpAddr>,
    /// Who is signed in.
    pub(super) user: Option<User>,
}

impl FromRequestParts<Desk> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Problem> {
        let head = Head::from(&*parts);
        let address = desk.proxies.address(head);
        let session = cloakroom::session(head).await?;
        Ok(Self {
            language: Language::of(&parts.headers),
            headers: parts.headers.clone(),
            user: desk.user(&session, address),
            session,
            address,
        })
    }
}

impl Asked {
    /// Whether a form comes from a page of ours. The layer before has refused what a browser says is
    /// not; of a browser too old to say where a form comes from, the form has to tell something that
    /// only our page could know.
    pub(super) fn is_from_our_page(&self, mark: Option<&str>, expected: &str) -> bool {
        // The layer takes an empty one for none.
        let says = |name: HeaderName| self.headers.get(name).is_some_and(|value| !value.is_empty());
        says(FETCH_SITE) || says(ORIGIN) || mark == Some(expected)
    }
}

/// What a query says, or nothing where it cannot be read.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: serde::de::DeserializeOwned + Default,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let read = axum::extract::Query::try_from_uri(&parts.uri);
        Ok(Self(read.map(|axum::extract::Query(read)| read).unwrap_or_default()))
    }
}

pub(super) type Answer = Result<http::Response<Body>, Problem>;
