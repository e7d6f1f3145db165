//! The service that every request meets: the gateway's own pages, or the gate.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::handler::Handler;
use axum::routing::get;
use cloakroom::Network;
use http::header::{ACCEPT, ACCEPT_LANGUAGE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tower::ServiceExt;
use tower_service::Service;

use super::Gate;
use crate::forward_auth::{self, IsOwn};
use crate::identity;
use crate::pages::{Brand, Problem, Reader};
use crate::serve::{Readiness, Target};

/// Begins the paths of the gateway's own pages, before any rule: no rule can lock the login away.
pub(crate) const OWN: &str = "/.cloakroom/";

/// Keeps the gate. Clones keep the same one.
#[derive(Clone, Debug)]
pub(crate) struct Gatekeeper {
    gate: Arc<Gate>,
    own: Router,
}

/// The future of an answer.
pub(crate) type Passing = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Gatekeeper {
    /// Keeps `gate`, and the pages beside it. `proxies`: who may ask the forward-auth endpoints.
    pub(crate) fn new(gate: Gate, proxies: &[Network], ready: Readiness) -> Self {
        let (cookies, gate) = (gate.cookies.clone(), Arc::new(gate));
        let is_own: Arc<IsOwn> = Arc::new(move |name| cookies.has(name));
        let own = Router::new()
            .merge(gate.desk.router())
            .merge(identity::router(gate.teller.clone()))
            .merge(forward_auth::router(proxies.to_vec(), is_own, Arc::clone(&gate) as _))
            .merge(health(ready))
            .fallback_service(not_found.with_state(Arc::clone(&gate)));
        Self { gate, own }
    }
}

impl Service<Request<Body>> for Gatekeeper {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Passing;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Passing {
        if request.uri().path().starts_with(OWN) {
            return Box::pin(own(Arc::clone(&self.gate), self.own.clone(), request));
        }
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let liking = Liking::of(request.headers());
            let passed = gate.pass(request).await;
            Ok(passed.unwrap_or_else(|problem| liking.response(problem, gate.desk.brand())))
        })
    }
}

/// What a client likes to read, kept while its request is under way.
struct Liking {
    accept: Option<HeaderValue>,
    languages: Option<HeaderValue>,
}

impl Liking {
    fn of(headers: &HeaderMap) -> Self {
        Self {
            accept: headers.get(ACCEPT).cloned(),
            languages: headers.get(ACCEPT_LANGUAGE).cloned(),
        }
    }

    fn response(self, problem: Problem, brand: &Brand) -> Response<Body> {
        let liked = [(ACCEPT, self.accept), (ACCEPT_LANGUAGE, self.languages)];
        let liked = liked.into_iter().filter_map(|(name, value)| Some((name, value?)));
        problem.dressed(Reader { headers: &liked.collect() }, brand)
    }
}

async fn own(
    gate: Arc<Gate>,
    router: Router,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    if let Err(why) = Target::of(&parts) {
        let reader = Reader { headers: &parts.headers };
        return Ok(Problem::BadRequest(why).dressed(reader, gate.desk.brand()));
    }
    router.oneshot(Request::from_parts(parts, body)).await
}

async fn not_found(State(gate): State<Arc<Gate>>, request: Request<Body>) -> Response<Body> {
    Problem::NotFound.dressed(Reader { headers: request.headers() }, gate.desk.brand())
}

/// Whether the process lives, and whether it wants requests: for balancers. A store that is away is
/// no reason to send nothing, as what is public goes on.
fn health(ready: Readiness) -> Router {
    let is_ready = async |State(ready): State<Readiness>| match ready.is_ready() {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "ending\n"),
    };
    Router::new()
        .route("/.cloakroom/health/live", get(async || "alive\n"))
        .route("/.cloakroom/health/ready", get(is_ready).with_state(ready))
}
