//! Watches over a connection that goes on with another protocol: whether the login that let it in
//! still holds, and whether anything moves.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use cloakroom::Live;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

/// How often the session is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The login that let a connection in.
#[derive(Debug)]
pub(crate) struct Vigil {
    pub(in crate::proxy) live: Live,
    pub(in crate::proxy) every: Duration,
}

impl Vigil {
    pub(crate) const fn new(live: Live) -> Self {
        Self { live, every: LOOK_EVERY }
    }

    /// Completes when the session has ended, or is another's. A store that does not answer ends
    /// nothing.
    pub(super) async fn over(self) {
        loop {
            sleep(self.every).await;
            if let Ok(None) = self.live.check().await {
                return;
            }
        }
    }
}

/// Counts what comes, either way.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves(Arc<AtomicU64>);

impl Moves {
    /// Completes when nothing has come for that long, or up to twice as long.
    pub(super) async fn stop_for(self, most: Duration) {
        let mut before = None;
        loop {
            let now = self.0.load(Ordering::Relaxed);
            if before == Some(now) {
                return;
            }
            before = Some(now);
            sleep(most).await;
        }
    }

    pub(super) fn of<T>(&self, inner: T) -> Moving<T> {
        Moving { inner, moves: self.clone() }
    }
}

/// One end of a connection, whose reads are counted.
#[derive(Debug)]
pub(super) struct Moving<T> {
    inner: T,
    moves: Moves,
}

impl<T: AsyncRead + Unpin> AsyncRead for Moving<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.moves.0.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Moving<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
