//! Tokio's clock, for the deadlines of sessions.

use std::time::Duration;

use cloakroom_core::Timer;
use cloakroom_core::time::Sleep;

/// Wakes tasks by tokio's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}
