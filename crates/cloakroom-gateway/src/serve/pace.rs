//! How long a client may take: for its next request, for a head that has begun, and to take what it
//! is sent.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use tokio::time::Instant as TokioInstant;

use crate::bell::Bell;

/// One connection's pace.
pub(super) struct Pace {
    head: Duration,
    /// Grows with every read that brought something.
    reads: AtomicU32,
    /// Of all requests on the connection, one after the other.
    bell: Mutex<Bell>,
}

impl Pace {
    pub(super) fn new(head: Duration) -> Arc<Self> {
        Arc::new(Self { head, reads: AtomicU32::new(0), bell: Mutex::default() })
    }

    /// Something came.
    pub(super) fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Ready at the deadline.
    fn poll(&self, cx: &mut Context<'_>, deadline: TokioInstant) -> Poll<()> {
        let mut bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        bell.poll(cx, deadline)
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace").finish_non_exhaustive()
    }
}

/// What hyper takes for its clock. It asks for a deadline when it begins to wait for a head.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    pub(super) pace: Arc<Pace>,
    pub(super) tape: Arc<super::tape::Tape>,
}

struct Waiting {
    pace: Arc<Pace>,
    reads: u32,
    /// Whether the head has begun.
    begun: bool,
    deadline: TokioInstant,
}

impl Timer for Patience {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.tape.cut();
        let reads = self.pace.reads.load(Ordering::Relaxed);
        let deadline = TokioInstant::from_std(deadline);
        Box::pin(Waiting { pace: Arc::clone(&self.pace), reads, begun: false, deadline })
    }
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.begun && self.pace.reads.load(Ordering::Relaxed) != self.reads {
            self.begun = true;
            self.deadline = TokioInstant::now() + self.pace.head;
        }
        self.pace.poll(cx, self.deadline)
    }
}

impl Sleep for Waiting {}
