//! Tells everything that serves that it is to end, and balancers beforehand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// Whether this node wants requests. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Whether it does.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }
}

/// Says stop.
#[derive(Debug)]
pub(super) struct Stopping(watch::Sender<bool>);

/// Hears it.
#[derive(Clone, Debug)]
pub(super) struct Stopped(watch::Receiver<bool>);

pub(super) fn signal() -> (Stopping, Stopped) {
    let (sender, receiver) = watch::channel(false);
    (Stopping(sender), Stopped(receiver))
}

impl Stopping {
    pub(super) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stopped {
    /// Completes once it was said, or nobody is left to say it.
    pub(super) async fn wait(mut self) {
        _ = self.0.wait_for(|stop| *stop).await;
    }
}
