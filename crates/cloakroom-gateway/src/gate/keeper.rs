//! The service that every request meets: the gateway's own pages, or the gate.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use cloakroom::Network;
use http::{Request, Response, StatusCode};
use tower::ServiceExt;
use tower_service::Service;

use super::Gate;
use crate::pages::{Problem, Reader};
use crate::serve::{Readiness, Target};
use crate::{forward_auth, identity};

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
        let gate = Arc::new(gate);
        let own = Router::new()
            .merge(gate.desk.router())
            .merge(identity::router(gate.teller.clone()))
            .merge(forward_auth::router(proxies.to_vec(), Arc::clone(&gate) as _))
            .merge(health(ready))
            .fallback(not_found);
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
            return Box::pin(own(self.own.clone(), request));
        }
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let reader = Reader::of(request.headers());
            Ok(gate.pass(request).await.unwrap_or_else(|problem| problem.response(&reader)))
        })
    }
}

async fn own(router: Router, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    if let Err(why) = Target::of(&request) {
        return Ok(Problem::BadRequest(why).response(&Reader::of(request.headers())));
    }
    router.oneshot(request).await
}

async fn not_found(request: Request<Body>) -> Response<Body> {
    Problem::NotFound.response(&Reader::of(request.headers()))
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
