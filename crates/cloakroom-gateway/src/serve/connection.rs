//! Serves one connection: TLS, the version of HTTP that the client speaks, and its end.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Limits;
use super::front::{Busy, ConnectionGuard, Front, Serves};
use super::pace::{Pace, Patience};
use super::stop::Stopped;
use super::tape::Tape;
use super::task::Tasks;
use super::wire::Wire;

/// What a connection by HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The least that hyper reads ahead.
const LEAST_AHEAD: usize = 8192;
/// As many bytes of a response by HTTP/2 wait to be sent.
const MOST_UNSENT: usize = 32 * 1024;
/// As many headers as are read without memory of their own.
const USUAL_HEADERS: usize = 100;

/// How all connections are served.
#[derive(Debug)]
pub(super) struct Connections<S> {
    limits: Limits,
    service: S,
    stopped: Stopped,
}

impl<S: Serves> Connections<S> {
    pub(super) const fn new(limits: Limits, service: S, stopped: Stopped) -> Self {
        Self { limits, service, stopped }
    }

    /// Serves a connection to its end.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: IpAddr,
        tls: Option<TlsAcceptor>,
        guard: ConnectionGuard,
    ) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let front = Front {
            service: self.service.clone(),
            peer,
            https: tls.is_some(),
            guard,
            tape: None,
            busy: None,
        };
        // What goes wrong on a connection is its client's affair.
        _ = match tls {
            Some(tls) => Box::pin(self.by_tls(tls, stream, front)).await,
            None => self.plainly(stream, front).await,
        };
    }

    async fn plainly(&self, mut stream: TcpStream, front: Front<S>) -> Option<()> {
        let (ahead, second) = tokio::select! {
            biased;
            read = timeout(self.limits.head, version(&mut stream)) => read.ok()?.ok()?,
            // A connection that nothing has come by yet keeps nobody from stopping.
            () = self.stopped.clone().wait() => return None,
        };
        match second {
            true => Box::pin(self.second(stream, ahead, front)).await,
            false => self.first(stream, ahead, front).await,
        }
    }

    async fn by_tls(&self, tls: TlsAcceptor, stream: TcpStream, front: Front<S>) -> Option<()> {
        let stream = tokio::select! {
            biased;
            accepted = timeout(self.limits.head, tls.accept(stream)) => accepted.ok()?.ok()?,
            () = self.stopped.clone().wait() => return None,
        };
        match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => self.second(stream, Vec::new(), front).await,
            _ => self.first(stream, Vec::new(), front).await,
        }
    }

    /// By HTTP/1.1.
    async fn first<T>(&self, stream: T, ahead: Vec<u8>, mut front: Front<S>) -> Option<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.limits;
        let most = limits.head_bytes.max(LEAST_AHEAD);
        let (pace, tape) = (Pace::new(limits.head), Arc::new(Tape::new(most)));
        front.tape = Some(Arc::clone(&tape));
        let mut builder = http1::Builder::new();
        builder.timer(Patience { pace: Arc::clone(&pace), tape: Arc::clone(&tape) });
        builder.header_read_timeout(limits.keep_alive).max_buf_size(most);
        builder.max_header_size(limits.head_bytes);
        if limits.headers != USUAL_HEADERS {
            builder.max_headers(limits.headers);
        }
        let wire = Wire::new(stream, ahead, pace, Some(tape), limits.stalled);
        let connection = builder.serve_connection(TokioIo::new(wire), front).with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.ok(),
            () = self.stopped.clone().wait() => connection.as_mut().graceful_shutdown(),
        }
        connection.await.ok()
    }

    /// By HTTP/2.
    async fn second<T>(&self, stream: T, ahead: Vec<u8>, mut front: Front<S>) -> Option<()>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.limits;
        let busy = Busy::default();
        front.busy = Some(busy.clone());
        let wire = Wire::new(stream, ahead, Pace::new(limits.head), None, limits.stalled);
        let connection = second_builder(limits).serve_connection(TokioIo::new(wire), front);
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.ok(),
            () = self.stopped.clone().wait() => {}
            () = idle_for(&busy, limits.keep_alive) => {}
        }
        connection.as_mut().graceful_shutdown();
        timeout(limits.drain.max(limits.keep_alive), connection).await.ok()?.ok()
    }
}

fn second_builder(limits: &Limits) -> http2::Builder<Tasks> {
    let mut builder = http2::Builder::new(Tasks { stalled: limits.stalled });
    builder.timer(TokioTimer::new());
    builder.max_concurrent_streams(limits.streams);
    builder.max_pending_accept_reset_streams(limits.resets);
    builder.max_local_error_reset_streams(limits.resets);
    builder.max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX));
    // A client that opens its windows wide and reads nothing is not to fill the memory.
    builder.max_send_buf_size(MOST_UNSENT);
    builder.keep_alive_interval(limits.keep_alive).keep_alive_timeout(limits.head);
    builder
}

/// Completes when a connection has had nothing to do for that long.
async fn idle_for(busy: &Busy, most: Duration) {
    let mut before = None;
    loop {
        sleep(most).await;
        let now = busy.idle();
        if now.is_some() && now == before {
            return;
        }
        before = now;
    }
}

/// Reads until it is clear by which version of HTTP a client speaks: whether by the second, and
/// what was read.
async fn version(stream: &mut TcpStream) -> io::Result<(Vec<u8>, bool)> {
    let mut ahead = Vec::with_capacity(PREFACE.len());
    while ahead.len() < PREFACE.len() {
        let left = PREFACE.len() - ahead.len();
        if (&mut *stream).take(left as u64).read_buf(&mut ahead).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(&ahead) {
            return Ok((ahead, false));
        }
    }
    Ok((ahead, true))
}
