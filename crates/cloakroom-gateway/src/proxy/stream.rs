//! Connections to a server by HTTP/2, which requests share.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::body::Upload;
use super::wire::Wire;

/// The most requests on one connection at once; more get another.
const MOST_STREAMS: usize = 100;
/// How often a silent connection is asked whether it is there, and how long that may take.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_WITHIN: Duration = Duration::from_secs(10);

/// A server's connections by HTTP/2.
#[derive(Debug, Default)]
pub(super) struct Streams {
    all: Mutex<Vec<Connection>>,
}

type Sender = SendRequest<Upload>;

/// A connection that is being opened, by all those together who wait for it: a slow one makes
/// nobody wait who has another.
type Opening = Shared<BoxFuture<'static, Result<Sender, Arc<io::Error>>>>;

/// A connection, from when it begins to be opened.
#[derive(Debug)]
struct Connection {
    opening: Opening,
    streams: Arc<AtomicUsize>,
    /// How many requests it has had.
    taken: u64,
    /// How many it had had, and when, when nobody used it since.
    rests: (u64, Instant),
}

/// The place that a request has on its connection.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection for one request.
#[derive(Debug)]
pub(super) struct Taken {
    sender: Sender,
    place: Place,
    /// Whether it was there before.
    pub(super) waited: bool,
}

/// Why there is no response.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) error: hyper::Error,
    /// The request, where none of it was sent.
    pub(super) unsent: Option<Box<Request<Upload>>>,
}

impl Streams {
    /// A connection with room for a request; `open` opens one where there is none. `fresh`: none
    /// that was there before.
    pub(super) async fn take<F>(
        &self,
        fresh: bool,
        open: impl FnOnce() -> F,
    ) -> Result<Taken, Arc<io::Error>>
    where
        F: Future<Output = io::Result<Wire>> + Send + 'static,
    {
        let (opening, place, waited) = self.place(fresh, open);
        Ok(Taken { sender: opening.await?, place, waited })
    }

    /// Sends a request, and completes with the head of its response. A connection on which one has
    /// failed gets no more.
    pub(super) async fn send(
        &self,
        taken: Taken,
        request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Place), Broken> {
        let Taken { mut sender, place, .. } = taken;
        match sender.try_send_request(request).await {
            Ok(response) => Ok((response, place)),
            Err(mut error) => {
                self.lock().retain(|one| !Arc::ptr_eq(&one.streams, &place.0));
                let unsent = error.take_message().map(Box::new);
                Err(Broken { error: error.into_error(), unsent })
            }
        }
    }

    /// Ends connections that nobody has used for that long.
    pub(super) fn tidy(&self, keep_alive: Duration) {
        let now = Instant::now();
        self.lock().retain_mut(|one| one.lives() && !one.has_rested(keep_alive, now));
    }

    fn place<F>(&self, fresh: bool, open: impl FnOnce() -> F) -> (Opening, Place, bool)
    where
        F: Future<Output = io::Result<Wire>> + Send + 'static,
    {
        let mut all = self.lock();
        all.retain(Connection::lives);
        let has_room = |one: &Connection| {
            let passed_over = fresh && one.is_open();
            one.streams.load(Ordering::Relaxed) < MOST_STREAMS && !passed_over
        };
        let found = all.iter().position(has_room);
        let index = found.unwrap_or_else(|| {
            all.push(Connection::new(open()));
            all.len() - 1
        });
        let one = &mut all[index];
        one.taken += 1;
        one.streams.fetch_add(1, Ordering::Relaxed);
        (one.opening.clone(), Place(Arc::clone(&one.streams)), one.is_open())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    fn new(wire: impl Future<Output = io::Result<Wire>> + Send + 'static) -> Self {
        let opening = async move { handshake(wire.await?).await.map_err(io::Error::other) };
        let opening = opening.map(|opened| opened.map_err(Arc::new)).boxed().shared();
        let rests = (0, Instant::now());
        Self { opening, streams: Arc::default(), taken: 0, rests }
    }

    fn is_open(&self) -> bool {
        self.opening.peek().is_some()
    }

    /// Whether requests may go there. One that is being opened, and that nobody waits for any more,
    /// is not opened on.
    fn lives(&self) -> bool {
        match self.opening.peek() {
            Some(Ok(sender)) => !sender.is_closed(),
            Some(Err(_)) => false,
            None => self.streams.load(Ordering::Relaxed) > 0,
        }
    }

    /// Whether nobody has used it for that long.
    fn has_rested(&mut self, keep_alive: Duration, now: Instant) -> bool {
        let (before, since) = self.rests;
        if self.streams.load(Ordering::Relaxed) > 0 || before != self.taken {
            self.rests = (self.taken, now);
            return false;
        }
        now.duration_since(since) >= keep_alive
    }
}

async fn handshake(wire: Wire) -> hyper::Result<Sender> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).keep_alive_interval(PING_EVERY);
    builder.keep_alive_timeout(PING_WITHIN).adaptive_window(true);
    let (sender, connection) = builder.handshake(TokioIo::new(wire)).await?;
    // What goes wrong is told to those who wait for responses.
    tokio::spawn(async move { _ = connection.await });
    Ok(sender)
}
