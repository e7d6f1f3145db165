//! Connections to a server by HTTP/2, which requests share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex as Turn;

use super::body::Upload;
use super::server::Server;

/// The most requests on one connection at once; more get another.
const MOST_STREAMS: usize = 100;
/// How often a silent connection is asked whether it is there, and how long that may take.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_WITHIN: Duration = Duration::from_secs(10);

/// A server's connections by HTTP/2.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: Mutex<Vec<Shared>>,
    /// One connection is opened at a time.
    opening: Turn<()>,
}

#[derive(Clone, Debug)]
struct Shared {
    sender: SendRequest<Upload>,
    streams: Arc<AtomicUsize>,
}

/// The place that a request has on its connection.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why there is no response.
#[derive(Debug)]
pub(super) enum Failed {
    /// There is no connection; the request was not sent.
    Connect(Box<Request<Upload>>),
    /// The connection broke; the request, where none of it was sent.
    Reset(Option<Box<Request<Upload>>>),
}

impl Streams {
    /// Sends a request, and completes with the head of its response.
    pub(super) async fn send(
        &self,
        server: &Server,
        connect: Duration,
        request: Request<Upload>,
    ) -> Result<(Response<Incoming>, Place), Failed> {
        let taken = match self.take() {
            Some(taken) => Some(taken),
            None => self.open(server, connect).await,
        };
        let Some((mut sender, place)) = taken else {
            return Err(Failed::Connect(Box::new(request)));
        };
        match sender.try_send_request(request).await {
            Ok(response) => Ok((response, place)),
            Err(mut error) => Err(Failed::Reset(error.take_message().map(Box::new))),
        }
    }

    fn take(&self) -> Option<(SendRequest<Upload>, Place)> {
        let mut open = self.lock();
        open.retain(|shared| !shared.sender.is_closed());
        let free = |shared: &&Shared| shared.streams.load(Ordering::Relaxed) < MOST_STREAMS;
        open.iter().find(free).map(Shared::place)
    }

    async fn open(
        &self,
        server: &Server,
        connect: Duration,
    ) -> Option<(SendRequest<Upload>, Place)> {
        let _turn = self.opening.lock().await;
        // Who had the turn before may have opened one.
        if let Some(taken) = self.take() {
            return Some(taken);
        }
        let wire = server.connect(connect).await.ok()?;
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(PING_EVERY);
        builder.keep_alive_timeout(PING_WITHIN).adaptive_window(true);
        let (sender, connection) = builder.handshake(TokioIo::new(wire)).await.ok()?;
        // What goes wrong is told to those who wait for responses.
        tokio::spawn(async move { _ = connection.await });
        let shared = Shared { sender, streams: Arc::default() };
        let taken = shared.place();
        self.lock().push(shared);
        Some(taken)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Shared>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn place(&self) -> (SendRequest<Upload>, Place) {
        self.streams.fetch_add(1, Ordering::Relaxed);
        (self.sender.clone(), Place(Arc::clone(&self.streams)))
    }
}
