//! Sends a request to one server, each phase within its time.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use tokio::time::Instant;

use crate::bell::Bell;
use crate::fault::chain;
use crate::pages::Problem;
use crate::proxy::body::{Download, Progress, Upload};
use crate::proxy::headers::Wish;
use crate::proxy::health::Since;
use crate::proxy::lane::Lane;
use crate::proxy::server::{Load, Server};
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
    pub(super) fn note(self, server: &Server, since: Since) {
        match self {
            Self::Connect | Self::Reset => server.health.failed(since, std::time::Instant::now()),
            Self::Silent => server.health.silent(since, std::time::Instant::now()),
            Self::Stale | Self::Slow => {}
        }
    }

    /// What the log says.
    pub(super) const fn says(self) -> &'static str {
        match self {
            Self::Connect => "a server could not be reached",
            Self::Reset | Self::Stale => "a server broke off",
            Self::Slow | Self::Silent => "a server did not answer in time",
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
    pub(super) cause: Cause,
    /// The request, where nothing of it was sent.
    pub(super) unsent: Option<Box<Request<Upload>>>,
}

/// What was behind that, for the log.
#[derive(Debug)]
pub(super) enum Cause {
    Error(Box<dyn Error + Send + Sync>),
    /// No answer came within that time.
    NoAnswer(Duration),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => f.write_str(&chain(&**error)),
            Self::NoAnswer(within) => write!(f, "no answer within {within:?}"),
        }
    }
}

impl Lost {
    fn unreached(error: impl Error + Send + Sync + 'static, request: Box<Request<Upload>>) -> Self {
        let cause = Cause::Error(Box::new(error));
        Self { why: Why::Connect, cause, unsent: Some(request) }
    }

    const fn slow(within: Duration) -> Self {
        Self { why: Why::Slow, cause: Cause::NoAnswer(within), unsent: None }
    }

    /// `waited`: whether the connection had waited for the request.
    fn broken(waited: bool, error: hyper::Error, unsent: Option<Box<Request<Upload>>>) -> Self {
        let why = if waited { Why::Stale } else { Why::Reset };
        Self { why, cause: Cause::Error(Box::new(error)), unsent }
    }
}

type Answer = Result<Response<Download>, Lost>;

/// Sends a request, and completes with its response's head. `fresh`: by a new connection. `since`:
/// as things stand with the server now. The request is boxed, as every future on the way would have
/// room for it twice.
pub(super) async fn attempt(
    server: &Arc<Server>,
    timeouts: &Timeouts,
    request: Box<Request<Upload>>,
    wish: &Wish,
    fresh: bool,
    since: Since,
) -> Answer {
    let mut answer = match server.settings.scheme {
        Scheme::H2c => by_stream(server, timeouts, request, fresh).await,
        Scheme::Http | Scheme::Https => by_lane(server, timeouts, request, wish, fresh).await,
    };
    match &mut answer {
        Ok(_) => server.health.succeeded(),
        Err(lost) if lost.why == Why::Slow && server.health.is_silent(since) => {
            lost.why = Why::Silent;
        }
        Err(_) => {}
    }
    answer
}

async fn by_lane(
    server: &Arc<Server>,
    timeouts: &Timeouts,
    request: Box<Request<Upload>>,
    wish: &Wish,
    fresh: bool,
) -> Answer {
    let load = Load::new(server);
    let waiting = if fresh { None } else { server.take_idle(timeouts.keep_alive) };
    let waited = waiting.is_some();
    let mut lane = match waiting {
        Some(lane) => lane,
        None => match open(server, timeouts).await {
            Ok(lane) => lane,
            Err(error) => return Err(Lost::unreached(error, request)),
        },
    };
    if wish.upgrade.is_some() {
        lane.detach_for_upgrade();
    }
    let progress = request.body().progress();
    let mut bell = std::mem::take(&mut lane.bell);
    let sent = {
        let sending = pin!(lane.send(*request));
        within(timeouts.response, progress.as_deref(), &mut bell, sending).await
    };
    let Some(sent) = sent else {
        return Err(Lost::slow(timeouts.response));
    };
    lane.bell = bell;
    let response = sent.map_err(|mut error| {
        let unsent = error.take_message().map(Box::new);
        Lost::broken(waited, error.into_error(), unsent)
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

async fn open(server: &Server, timeouts: &Timeouts) -> io::Result<Lane> {
    // Apart from the rest, which seldom needs it: its state is large.
    let opening = Box::pin(async {
        let wire = server.connect(timeouts).await?;
        Lane::new(wire).await.map_err(io::Error::other)
    });
    opening.await
}

async fn by_stream(
    server: &Arc<Server>,
    timeouts: &Timeouts,
    request: Box<Request<Upload>>,
    fresh: bool,
) -> Answer {
    let load = Load::new(server);
    let progress = request.body().progress();
    let taken = match server.streams.take(fresh, || server.connect(timeouts)).await {
        Ok(taken) => taken,
        Err(error) => return Err(Lost::unreached(error, request)),
    };
    let waited = taken.waited && !fresh;
    let mut sending = Box::pin(server.streams.send(taken, *request));
    let mut bell = Bell::default();
    let sent = within(timeouts.response, progress.as_deref(), &mut bell, sending.as_mut()).await;
    let Some(sent) = sent else {
        return Err(Lost::slow(timeouts.response));
    };
    let (response, place) =
        sent.map_err(|broken| Lost::broken(waited, broken.error, broken.unsent))?;
    let load = load.with(place);
    Ok(response.map(|body| Download::new(body, None, load, timeouts.body_idle)))
}

/// Completes with nothing where the answer takes too long after the end of the request: while its
/// body is on its way, the time begins anew with everything of it.
async fn within<T>(
    most: Duration,
    progress: Option<&Progress>,
    bell: &mut Bell,
    mut answer: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
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
