//! A response's body on its way to the client. Drives the connection that it comes by, and gives
//! it back when it has come to its end.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use crate::proxy::lane::Lane;
use crate::proxy::server::Load;
use crate::stall::Stall;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A response's body.
#[derive(Debug)]
pub(in crate::proxy) struct Download {
    incoming: Incoming,
    /// The connection, where it is for this response alone.
    lane: Option<Lane>,
    load: Option<Load>,
    stall: Stall,
}

impl Download {
    pub(in crate::proxy) const fn new(
        incoming: Incoming,
        lane: Option<Lane>,
        load: Load,
        idle: Duration,
    ) -> Self {
        Self { incoming, lane, load: Some(load), stall: Stall::new(idle) }
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if !self.lane.as_ref().is_some_and(|lane| lane.is_driven_here()) {
            return Pin::new(&mut self.incoming).poll_frame(cx);
        }
        // Only the connection, which is driven from here, can wake it.
        let mut nobody = Context::from_waker(Waker::noop());
        if let frame @ Poll::Ready(_) = Pin::new(&mut self.incoming).poll_frame(&mut nobody) {
            return frame;
        }
        if let Some(lane) = &mut self.lane {
            lane.drive(cx);
        }
        Pin::new(&mut self.incoming).poll_frame(&mut nobody)
    }

    /// Takes what says that the server has to do with it.
    pub(in crate::proxy) const fn take_load(&mut self) -> Option<Load> {
        self.load.take()
    }

    /// The whole body has come.
    fn finish(&mut self) {
        if let (Some(lane), Some(load)) = (self.lane.take(), &self.load) {
            load.server().put_back(lane);
        }
        self.load = None;
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = this.poll_incoming(cx) else {
            return this
                .stall
                .poll(cx)
                .map(|()| Some(Err("the server's body does not go on".into())));
        };
        this.stall.end();
        match frame {
            None => {
                this.finish();
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                if this.incoming.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                (this.lane, this.load) = (None, None);
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
