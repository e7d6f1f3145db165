//! The tasks of requests by HTTP/2. One whose client takes nothing of its response for too long
//! ends: the connection may be well, and only this stream's window full.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;

use crate::stall::Stall;

tokio::task_local! {
    static PROGRESS: Arc<Progress>;
}

/// How far a response is on its way to its client. Of one task, which alone looks at it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Grows with everything that the client is given; 0 where there is no response yet.
    given: AtomicU32,
    /// Whether there was nothing to give when the body was asked last.
    waits: AtomicBool,
}

impl Progress {
    /// That of the current task.
    pub(super) fn of_task() -> Option<Arc<Self>> {
        PROGRESS.try_with(Arc::clone).ok()
    }

    /// The client is given something; it is asked for more once that has been taken.
    pub(super) fn gives(&self) {
        self.given.fetch_add(1, Ordering::Relaxed);
    }

    /// There is nothing to give yet.
    pub(super) fn waits(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }
}

/// Starts the tasks of a connection's requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tasks {
    /// How long a client may take nothing.
    pub(super) stalled: Duration,
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        let progress = Arc::<Progress>::default();
        let inner = PROGRESS.scope(Arc::clone(&progress), request);
        tokio::spawn(Task { inner, progress, seen: 0, stall: Stall::new(self.stalled) });
    }
}

pin_project! {
    struct Task<F> {
        #[pin]
        inner: TaskLocalFuture<Arc<Progress>, F>,
        progress: Arc<Progress>,
        // What was given when the wait for the client began.
        seen: u32,
        stall: Stall,
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // Where the body is not asked at all, it is the client that is waited for.
        this.progress.waits.store(false, Ordering::Relaxed);
        if this.inner.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let given = this.progress.given.load(Ordering::Relaxed);
        let is_the_clients = given > 0 && !this.progress.waits.load(Ordering::Relaxed);
        if !is_the_clients || given != *this.seen {
            *this.seen = given;
            this.stall.end();
        }
        if !is_the_clients {
            return Poll::Pending;
        }
        this.stall.poll(cx)
    }
}
