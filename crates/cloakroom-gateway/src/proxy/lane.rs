//! A connection to a server by HTTP/1.1. It is driven by whoever waits for its response, so that
//! no other task has to be woken for it.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;

use super::body::Upload;
use super::wire::Wire;
use crate::bell::Bell;

/// As much is read ahead of a response: what is left of it anywhere keeps all of it. Also the most
/// that its head may have.
const MOST_AHEAD: usize = 128 * 1024;

/// A connection.
#[derive(Debug)]
pub(super) struct Lane {
    sender: SendRequest<Upload>,
    driver: Driver,
    /// Since when nobody uses it.
    pub(super) idle_since: Instant,
    /// Of all its requests, one after the other.
    pub(super) bell: Bell,
}

#[derive(Debug)]
enum Driver {
    Here(Box<Connection<TokioIo<Wire>, Upload>>),
    /// It has a task of its own.
    Task,
    Closed,
}

pub(super) type Sent = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

impl Lane {
    pub(super) async fn new(wire: Wire) -> hyper::Result<Self> {
        let mut builder = Builder::new();
        builder.max_buf_size(MOST_AHEAD);
        let (sender, connection) = builder.handshake(TokioIo::new(wire)).await?;
        let driver = Driver::Here(Box::new(connection));
        Ok(Self { sender, driver, idle_since: Instant::now(), bell: Bell::default() })
    }

    pub(super) const fn is_driven_here(&self) -> bool {
        matches!(self.driver, Driver::Here(_) | Driver::Closed)
    }

    /// Does what can be done on the connection.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Driver::Here(connection) = &mut self.driver
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.driver = Driver::Closed;
        }
    }

    /// Whether a request can be sent on it. One that its server has closed meanwhile is seen.
    pub(super) fn is_open(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.sender.is_ready()
    }

    /// Lets the connection go on by itself from now on.
    pub(super) fn detach(&mut self) {
        if let Driver::Here(connection) = std::mem::replace(&mut self.driver, Driver::Task) {
            // What goes wrong is told to whoever waits for the response.
            tokio::spawn(async move { _ = connection.await });
        }
    }

    /// The same, for a response that may switch protocols.
    pub(super) fn detach_for_upgrade(&mut self) {
        if let Driver::Here(connection) = std::mem::replace(&mut self.driver, Driver::Task) {
            tokio::spawn(async move { _ = connection.with_upgrades().await });
        }
    }

    /// Sends a request, and completes with the head of its response.
    pub(super) fn send(&mut self, request: Request<Upload>) -> impl Future<Output = Sent> {
        let answer = self.sender.try_send_request(request);
        Sending { answer, lane: self }
    }
}

pin_project! {
    #[project = Projection]
    /// A request under way.
    struct Sending<'l, F> {
        #[pin]
        answer: F,
        lane: &'l mut Lane,
    }
}

impl<F: Future<Output = Sent>> Future for Sending<'_, F> {
    type Output = Sent;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Sent> {
        let Projection { answer, lane } = self.project();
        if matches!(lane.driver, Driver::Task) {
            return answer.poll(cx);
        }
        lane.drive(cx);
        // Only the connection, which is driven from here, can wake it.
        let answered = answer.poll(&mut Context::from_waker(Waker::noop()));
        if answered.is_pending() && matches!(lane.driver, Driver::Closed) {
            cx.waker().wake_by_ref();
        }
        answered
    }
}
