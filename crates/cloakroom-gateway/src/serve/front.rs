//! What requests meet first: they are given their peer's address, and the scheme that they really
//! came by.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use cloakroom::PeerAddr;
use http::header::{CONNECTION, HOST, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::sync::OwnedSemaphorePermit;
use tower_service::Service;

use super::tape::{Tape, TwoLengths};
use super::task::Progress;
use super::whole::Whole;

/// The most bytes that a client by HTTP/2 is given at once: it is slow only where it takes less than
/// these in the time that it has.
const MOST_GIVEN: usize = 32 * 1024;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A service of the gateway: always ready, never fails.
pub(crate) trait Serves:
    Service<
        Request<Body>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + Sync
    + 'static
{
    type Body: http_body::Body<Data = Bytes, Error: Into<Error>> + Send + 'static;
}

impl<S, B> Serves for S
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<Error>> + Send + 'static,
{
    type Body = B;
}

/// Counts a connection among all that there may be, for as long as any clone of it lives. In the
/// extensions of requests that may make something else of their connection.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionGuard {
    _held: Arc<OwnedSemaphorePermit>,
}

impl ConnectionGuard {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _held: Arc::new(permit) }
    }
}

/// One connection's requests.
#[derive(Clone, Debug)]
pub(super) struct Front<S> {
    pub(super) service: S,
    pub(super) peer: IpAddr,
    pub(super) https: bool,
    pub(super) guard: ConnectionGuard,
    /// By HTTP/1.1.
    pub(super) tape: Option<Arc<Tape>>,
    /// By HTTP/2.
    pub(super) busy: Option<Busy>,
}

impl<S: Serves> hyper::service::Service<Request<Incoming>> for Front<S> {
    type Response = Response<Tracked<S::Body>>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let ends = self.tape.as_ref().is_some_and(|tape| tape.two_lengths(&head));
        if ends {
            head.extensions.insert(TwoLengths);
        }
        if head.headers.contains_key(UPGRADE) {
            head.extensions.insert(self.guard.clone());
        }
        head.extensions.insert(PeerAddr(self.peer));
        if let Some(uri) = really(&head, self.https) {
            head.uri = uri;
        }
        // An empty body needs no box.
        let body = if self.busy.is_some() {
            let body = Whole::new(body, &head);
            if http_body::Body::is_end_stream(&body) { Body::empty() } else { Body::new(body) }
        } else if http_body::Body::is_end_stream(&body) {
            Body::empty()
        } else {
            Body::new(body)
        };
        let answering = self.service.clone().call(Request::from_parts(head, body));
        Answering { answering, guard: self.busy.as_ref().map(Busy::begin), ends }
    }
}

/// The address with the scheme of the connection, where it has to be another: what a client writes
/// there proves nothing.
fn really(head: &Parts, https: bool) -> Option<Uri> {
    let (scheme, other) = match https {
        true => (Scheme::HTTPS, Scheme::HTTP),
        false => (Scheme::HTTP, Scheme::HTTPS),
    };
    let authority = match (head.uri.scheme(), head.uri.authority()) {
        (Some(said), Some(authority)) if *said == other => authority.clone(),
        (None, None) if https => host(head)?,
        _ => return None,
    };
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    let path = head.uri.path_and_query().cloned();
    parts.path_and_query = path.or(Some(PathAndQuery::from_static("/")));
    Uri::from_parts(parts).ok()
}

fn host(head: &Parts) -> Option<Authority> {
    let mut hosts = head.headers.get_all(HOST).into_iter();
    let host = hosts.next().filter(|_| hosts.next().is_none())?;
    Authority::try_from(host.as_bytes()).ok()
}

/// How many requests a connection has under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Busy(Arc<AtomicUsize>);

/// One of them.
#[derive(Debug)]
pub(super) struct Guard(Arc<AtomicUsize>);

const UNDER_WAY: usize = 1 << 32;

impl Busy {
    fn begin(&self) -> Guard {
        // The low half counts them all, so that one that came and went is seen as well.
        self.0.fetch_add(UNDER_WAY + 1, Ordering::AcqRel);
        Guard(Arc::clone(&self.0))
    }

    /// How many there have been, if none is under way.
    pub(super) fn idle(&self) -> Option<usize> {
        let state = self.0.load(Ordering::Acquire);
        (state < UNDER_WAY).then_some(state)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(UNDER_WAY, Ordering::AcqRel);
    }
}

pin_project! {
    /// A response on its way.
    pub(super) struct Answering<F> {
        #[pin]
        answering: F,
        guard: Option<Guard>,
        // Whether the connection ends with it: nobody can tell where the next request begins.
        ends: bool,
    }
}

impl<F, B> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<Tracked<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.answering.poll(cx).map_ok(|mut response| {
            let guard = this.guard.take();
            if *this.ends {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            let progress = guard.as_ref().and_then(|_| Progress::of_task());
            if let Some(progress) = &progress {
                progress.gives();
            }
            response.map(|body| Tracked { body, left: Bytes::new(), guard, progress })
        })
    }
}

pin_project! {
    /// A response's body, with which its request ends.
    pub(super) struct Tracked<B> {
        #[pin]
        body: B,
        // What the client is not given yet of the body's last frame.
        left: Bytes,
        guard: Option<Guard>,
        // By HTTP/2.
        progress: Option<Arc<Progress>>,
    }
}

impl<B: http_body::Body<Data = Bytes>> http_body::Body for Tracked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let Some(progress) = this.progress else {
            return this.body.poll_frame(cx);
        };
        if this.left.is_empty() {
            let Poll::Ready(frame) = this.body.poll_frame(cx) else {
                progress.waits();
                return Poll::Pending;
            };
            match frame {
                Some(Ok(frame)) if frame.is_data() => {
                    *this.left = frame.into_data().unwrap_or_default();
                }
                other => return Poll::Ready(other),
            }
        }
        progress.gives();
        let given = this.left.len().min(MOST_GIVEN);
        Poll::Ready(Some(Ok(Frame::data(this.left.split_to(given)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, left) = (self.body.size_hint(), self.left.len() as u64);
        if left > 0 {
            let upper = hint.upper().map(|upper| upper.saturating_add(left));
            hint.set_lower(hint.lower().saturating_add(left));
            if let Some(upper) = upper {
                hint.set_upper(upper);
            }
        }
        hint
    }
}
