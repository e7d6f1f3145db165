//! The bytes between a client and the gateway: those that were looked at beforehand come first, and
//! a client that takes nothing of what it is sent is given up.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::Pace;
use super::tape::Tape;
use crate::gathered::{ROOM, gathered};
use crate::stall::Stall;

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Wire<T> {
    inner: T,
    /// Read already; the first of them first.
    ahead: Vec<u8>,
    pace: Arc<Pace>,
    /// Where the bytes of heads are remembered, if anywhere.
    tape: Option<Arc<Tape>>,
    /// How long nothing may be taken.
    stall: Stall,
}

impl<T> Wire<T> {
    pub(super) const fn new(
        inner: T,
        ahead: Vec<u8>,
        pace: Arc<Pace>,
        tape: Option<Arc<Tape>>,
        stalled: Duration,
    ) -> Self {
        Self { inner, ahead, pace, tape, stall: Stall::new(stalled) }
    }

    fn note(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.pace.read();
            if let Some(tape) = &self.tape {
                tape.read(bytes);
            }
        }
    }

    /// Limits how long `written` may be pending.
    fn limited<R>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        self.stall.limit(cx, written, |_| io::ErrorKind::TimedOut.into())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Wire<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.ahead.is_empty() {
            std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        } else {
            let count = self.ahead.len().min(buf.remaining());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
        }
        self.note(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Wire<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.limited(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.limited(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.limited(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [0; ROOM];
        let inner = Pin::new(&mut self.inner);
        let written = match gathered(bufs, &mut room) {
            Some(all) => inner.poll_write(cx, all),
            None => inner.poll_write_vectored(cx, bufs),
        };
        self.limited(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
