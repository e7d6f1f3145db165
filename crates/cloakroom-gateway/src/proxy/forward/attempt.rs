//! Sends a request to one server, each phase within its time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;

use crate::bell::Bell;
use crate::pages::Problem;
use crate::proxy::body::{Download, Progress, Upload};
use crate::proxy::headers::Wish;
use crate::proxy::lane::Lane;
use crate::proxy::server::{Load, Server};
use crate::proxy::stream::Failed;
use crate::proxy::{Scheme, Timeouts};

/// Why there is no response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// There was no connection.
    Connect,
    /// A new connection broke.
    Reset,
    /// A connection that had waited broke.
    Stale,
    /// The server took too long.
    Slow,
    /// It did, and answered nobody meanwhile.
    Silent,
}

impl Why {
    pub(super) const fn problem(self) -> Problem {
        match self {
            Self::Connect | Self::Reset | Self::Stale => Problem::UpstreamAway,
            Self::Slow | Self::Silent => Problem::UpstreamSlow,
        }
    }

    /// Notes what speaks against the server's health.
    pub(super) fn note(self, server: &Server) {
        match self {
            Self::Connect | Self::Reset => server.health.failed(std::time::Instant::now()),
            Self::Silent => server.health.silent(std::time::Instant::now()),
            Self::Stale | Self::Slow => {}
        }
    }

    /// Whether the server may be at work on the request.
    pub(super) const fn is_late(self) -> bool {
        matches!(self, Self::Slow | Self::Silent)
    }
}

/// What is left of a request without a response.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) why: Why,
    /// The request, where nothing of it was sent.
    pub(super) unsent: Option<Box<Request<Upload>>>,
}

type Answer = Result<Response<Download>, Lost>;

/// Sends a request, and completes with its response's head. `fresh`: by a new connection.
pub(super) async fn attempt(
    server: &Arc<Server>,
    timeouts: &Timeouts,
    request: Request<Upload>,
    wish: &Wish,
    fresh: bool,
) -> Answer {
    let before = server.health.answers();
    let mut answer = match server.settings.scheme {
        Scheme::H2c => by_stream(server, timeouts, request).await,
        Scheme::Http | Scheme::Https => by_lane(server, timeouts, request, wish, fresh).await,
    };
    match &mut answer {
        Ok(_) => server.health.succeeded(),
        Err(lost) if lost.why == Why::Slow && server.health.answers() == before => {
            lost.why = Why::Silent;
        }
        Err(_) => {}
    }
    answer
}

async fn by_lane(
    server: &Arc<Server>,
    timeouts: &Timeouts,
    request: Request<Upload>,
    wish: &Wish,
    fresh: bool,
) -> Answer {
    let load = Load::new(server);
    let waiting = if fresh { None } else { server.take_idle(timeouts.keep_alive) };
    let waited = waiting.is_some();
    let mut lane = match waiting {
        Some(lane) => lane,
        None => match open(server, timeouts.connect).await {
            Some(lane) => lane,
            None => return Err(Lost { why: Why::Connect, unsent: Some(Box::new(request)) }),
        },
    };
    if wish.upgrade.is_some() {
        lane.detach_for_upgrade();
    }
    let progress = request.body().progress();
    let mut bell = std::mem::take(&mut lane.bell);
    let sending = lane.send(request);
    let Some(sent) = within(timeouts.response, progress.as_deref(), &mut bell, sending).await
    else {
        return Err(Lost { why: Why::Slow, unsent: None });
    };
    lane.bell = bell;
    let response = sent.map_err(|mut error| Lost {
        why: if waited { Why::Stale } else { Why::Reset },
        unsent: error.take_message().map(Box::new),
    })?;
    // A client may send on while it reads: what drives the connection must not wait for either.
    if progress.is_some_and(|progress| !progress.is_over()) {
        lane.detach();
    }
    Ok(response.map(|body| {
        let lane = match body.is_end_stream() {
            true => {
                server.put_back(lane);
                None
            }
            false => Some(lane),
        };
        Download::new(body, lane, load, timeouts.body_idle)
    }))
}

async fn open(server: &Server, connect: Duration) -> Option<Lane> {
    // Apart from the rest, which seldom needs it: its state is large.
    let opening = Box::pin(async { Lane::new(server.connect(connect).await.ok()?).await.ok() });
    opening.await
}

async fn by_stream(server: &Arc<Server>, timeouts: &Timeouts, request: Request<Upload>) -> Answer {
    let load = Load::new(server);
    let progress = request.body().progress();
    let sending = Box::pin(server.streams.send(server, timeouts.connect, request));
    let mut bell = Bell::default();
    let Some(sent) = within(timeouts.response, progress.as_deref(), &mut bell, sending).await
    else {
        return Err(Lost { why: Why::Slow, unsent: None });
    };
    match sent {
        Ok((response, place)) => {
            let load = load.with(place);
            Ok(response.map(|body| Download::new(body, None, load, timeouts.body_idle)))
        }
        Err(Failed::Connect(request)) => Err(Lost { why: Why::Connect, unsent: Some(request) }),
        Err(Failed::Reset(unsent)) => Err(Lost { why: Why::Reset, unsent }),
    }
}

/// Completes with nothing where the answer takes too long after the end of the request: while its
/// body is on its way, the time begins anew with everything of it.
async fn within<T>(
    most: Duration,
    progress: Option<&Progress>,
    bell: &mut Bell,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let mut answer = pin!(answer);
    let (mut seen, mut deadline) = (0, Instant::now() + most);
    poll_fn(|cx| {
        if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        while bell.poll(cx, deadline).is_ready() {
            let frames = progress.map_or(0, Progress::frames);
            if frames == seen {
                return Poll::Ready(None);
            }
            seen = frames;
            deadline = Instant::now() + most;
        }
        Poll::Pending
    })
    .await
}
