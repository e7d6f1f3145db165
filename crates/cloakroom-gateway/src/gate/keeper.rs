//! The service that every request meets: the gateway's own pages, or the gate.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use cloakroom::Network;
use futures_util::StreamExt;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONNECTION};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use tower::ServiceExt;
use tower_service::Service;

use super::{Gate, body};
use crate::forward_auth::{self, IsOwn};
use crate::identity;
use crate::pages::{Problem, Reader};
use crate::serve::{Readiness, Target};

/// Begins the paths of the gateway's own pages, before any rule: no rule can lock the login away.
pub(crate) const OWN: &str = "/.cloakroom/";

/// Keeps the gate. Clones keep the same one.
#[derive(Clone, Debug)]
pub(crate) struct Gatekeeper {
    gate: Arc<Gate>,
    own: Router,
    /// How long the body of a request to a page of the gateway's own may take.
    body: Duration,
}

/// The future of an answer.
pub(crate) type Passing = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Gatekeeper {
    /// Keeps `gate`, and the pages beside it. `proxies`: who may ask the forward-auth endpoints.
    /// `body`: how long the body of a request to one of these pages may take.
    pub(crate) fn new(gate: Gate, proxies: &[Network], ready: Readiness, body: Duration) -> Self {
        let (cookies, gate) = (gate.cookies.clone(), Arc::new(gate));
        let is_own: Arc<IsOwn> = Arc::new(move |name| cookies.has(name));
        let own = Router::new()
            .merge(gate.desk.router().layer(from_fn(whole_body)))
            .merge(identity::router(gate.teller.clone()))
            .merge(forward_auth::router(proxies.to_vec(), is_own, Arc::clone(&gate) as _))
            .merge(health(ready))
            .fallback(not_found);
        Self { gate, own, body }
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
        let (leaves_body, within) = (may_leave_body(&request), self.body);
        if request.uri().path().starts_with(OWN) {
            let own = own(self.own.clone(), request.map(|body| in_time(body, within)));
            return Box::pin(async move { Ok(ending(own.await?, leaves_body)) });
        }
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let liking = Liking::of(request.headers());
            let passed = gate.pass(request).await;
            Ok(passed.unwrap_or_else(|problem| ending(liking.response(problem), leaves_body)))
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
    let refused =
        matches!(response.status(), StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE);
    if leaves_body && refused {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body that fails where it has not come as a whole within that time: pages have small ones, and
/// a byte now and then is no way to send them.
fn in_time(body: Body, within: Duration) -> Body {
    if http_body::Body::is_end_stream(&body) {
        return body;
    }
    let parts = (body.into_data_stream(), Box::pin(tokio::time::sleep(within)));
    Body::from_stream(futures_util::stream::unfold(parts, |(mut data, mut late)| async move {
        let next = tokio::select! {
            next = data.next() => next?,
            () = &mut late => Err(axum::Error::new(std::io::Error::from(ErrorKind::TimedOut))),
        };
        Some((next, (data, late)))
    }))
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

    fn response(self, problem: Problem) -> Response<Body> {
        let liked = [(ACCEPT, self.accept), (ACCEPT_LANGUAGE, self.languages)];
        let liked = liked.into_iter().filter_map(|(name, value)| Some((name, value?)));
        problem.response(Reader { headers: &liked.collect() })
    }
}

async fn own(router: Router, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    if let Err(why) = Target::of(&parts) {
        return Ok(Problem::BadRequest(why).response(Reader { headers: &parts.headers }));
    }
    router.oneshot(Request::from_parts(parts, body)).await
}

/// Of the own pages, only the desk's read bodies.
async fn whole_body(request: Request<Body>, next: Next) -> Response<Body> {
    let liking = Liking::of(request.headers());
    match body::whole(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => liking.response(problem),
    }
}

async fn not_found(request: Request<Body>) -> Response<Body> {
    Problem::NotFound.response(Reader { headers: request.headers() })
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
