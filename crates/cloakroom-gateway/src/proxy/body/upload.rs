//! A request's body on its way to a server.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::proxy::headers::TrailerBorder;
use crate::stall::Stall;

/// Why a request's body was not sent to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(in crate::proxy) enum Cut {
    #[error("the body is larger than may be")]
    TooLarge,
    #[error("the body did not go on in time")]
    Slow,
    #[error("the body ended before its end")]
    Broken,
}

/// What the sender of a request sees of its body.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Progress {
    state: AtomicU8,
    frames: AtomicU32,
}

const UNDER_WAY: u8 = 0;
const SENT: u8 = 1;
const TOO_LARGE: u8 = 2;
const SLOW: u8 = 3;
const BROKEN: u8 = 4;

impl Progress {
    /// Whether nothing more will come of it.
    pub(in crate::proxy) fn is_over(&self) -> bool {
        self.state.load(Ordering::Acquire) != UNDER_WAY
    }

    /// Grows with everything that is sent.
    pub(in crate::proxy) fn frames(&self) -> u32 {
        self.frames.load(Ordering::Acquire)
    }

    /// Why it was not sent to its end, where it was not.
    pub(in crate::proxy) fn cut(&self) -> Option<Cut> {
        match self.state.load(Ordering::Acquire) {
            TOO_LARGE => Some(Cut::TooLarge),
            SLOW => Some(Cut::Slow),
            BROKEN => Some(Cut::Broken),
            _ => None,
        }
    }

    fn set(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }
}

/// A request's body.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Upload {
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    body: Body,
    /// How many bytes may still come.
    left: u64,
    stall: Stall,
    border: TrailerBorder,
    progress: Arc<Progress>,
}

impl Upload {
    /// Sends `body`, of which at most so many bytes may come, and each in that time after the last.
    /// `border` says which trailers are left out.
    pub(in crate::proxy) fn new(
        body: Body,
        most: Option<u64>,
        idle: Duration,
        border: impl FnOnce() -> TrailerBorder,
    ) -> Self {
        if body.is_end_stream() {
            return Self::default();
        }
        let (left, stall) = (most.unwrap_or(u64::MAX), Stall::new(idle));
        let border = border();
        Self { source: Some(Source { body, left, stall, border, progress: Arc::default() }) }
    }

    /// How far it is; `None` where there is no body.
    pub(in crate::proxy) fn progress(&self) -> Option<Arc<Progress>> {
        self.source.as_ref().map(|source| Arc::clone(&source.progress))
    }
}

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.stall.poll(cx));
            return Poll::Ready(Some(Err(self.cut(SLOW, Cut::Slow))));
        };
        self.stall.end();
        let frame = match frame {
            None => {
                self.progress.set(SENT);
                return Poll::Ready(None);
            }
            Some(Err(_)) => return Poll::Ready(Some(Err(self.cut(BROKEN, Cut::Broken)))),
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    self.border.drop_ours(trailers);
                }
                frame
            }
        };
        let length = frame.data_ref().map_or(0, Bytes::len);
        let Some(left) = self.left.checked_sub(u64::try_from(length).unwrap_or(u64::MAX)) else {
            return Poll::Ready(Some(Err(self.cut(TOO_LARGE, Cut::TooLarge))));
        };
        self.left = left;
        self.progress.frames.fetch_add(1, Ordering::AcqRel);
        if self.body.is_end_stream() {
            self.progress.set(SENT);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn cut(&self, state: u8, cut: Cut) -> Cut {
        self.progress.set(state);
        cut
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.source {
            Some(source) => source.poll(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.as_ref().is_none_or(|source| source.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let hint = |source: &Source| source.body.size_hint();
        self.source.as_ref().map_or_else(|| SizeHint::with_exact(0), hint)
    }
}
