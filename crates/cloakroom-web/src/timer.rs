//! Tokio's clock, for the deadlines of sessions.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use cloakroom_core::Timer;
use cloakroom_core::time::Sleep;

/// Wakes tasks by tokio's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }

    fn elapsed(&self) -> Duration {
        static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGINNING.elapsed()
    }
}
