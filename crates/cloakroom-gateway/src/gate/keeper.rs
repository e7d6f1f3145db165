//! The service that every request meets: the gateway's own pages, or the gate.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::handler::Handler;
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::get;
use cloakroom::Network;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONNECTION};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use tower::ServiceExt;
use tower_service::Service;

use super::{Gate, body};
use crate::forward_auth::{self, Own};
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
    /// `own`: what services behind those do not get. `body`: how long the body of a request to one of
    /// these pages may take.
    pub(crate) fn new(
        gate: Gate,
        proxies: &[Network],
        own: Own,
        ready: Readiness,
        body: Duration,
    ) -> Self {
        let gate = Arc::new(gate);
        let own = Router::new()
            .merge(
                gate.desk.router().layer(from_fn_with_state((Arc::clone(&gate), body), whole_body)),
            )
            .merge(identity::router(gate.teller.clone()))
            .merge(forward_auth::router(proxies.to_vec(), own, Arc::clone(&gate) as _))
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
        let leaves_body = may_leave_body(&request);
        if request.uri().path().starts_with(OWN) {
            let own = own(Arc::clone(&self.gate), self.own.clone(), request);
            return Box::pin(async move { Ok(ending(own.await?, leaves_body)) });
        }
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let liking = Liking::of(request.headers());
            let passed = gate.pass(request).await;
            let brand = gate.desk.brand();
            Ok(passed
                .unwrap_or_else(|problem| ending(liking.response(problem, brand), leaves_body)))
        })
    }
}

/// Whether a request has a body that could be left unread on its connection.
fn may_leave_body(request: &Request<Body>) -> bool {
    request.version() < Version::HTTP_2 && !http_body::Body::is_end_stream(request.body())
}

/// Says that the connection ends, where a body that was refused may stand in the way of the next
/// request on it.
fn ending(mut response: Response<Body>, leaves_body: bool) -> Response<Body> {
    let refused = matches!(
        response.status(),
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT
    );
    if leaves_body && refused {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
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

/// Of the own pages, only the desk's read bodies.
async fn whole_body(
    State((gate, within)): State<(Arc<Gate>, Duration)>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let liking = Liking::of(request.headers());
    match body::whole(within, request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => liking.response(problem, gate.desk.brand()),
    }
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
