//! A clock that only tests move, and a timer that runs on tokio's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cloakroom_core::time::Sleep;
use cloakroom_core::{Clock, Timer, Timestamp};
use tokio::time::Instant;

use crate::samples::START;

/// A clock that stands still until it is told otherwise. Its clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(now.millis())))
    }

    /// Moves on by whole milliseconds of `duration`, and returns the time then.
    pub fn advance(&self, duration: Duration) -> Timestamp {
        let moved = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
            Some((Timestamp::from_millis(now) + duration).millis())
        });
        let before = moved.unwrap_or_else(|now| now);
        Timestamp::from_millis(before) + duration
    }

    /// Jumps to `now`, backwards too.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// A clock that stands at [`START`].
    fn default() -> Self {
        Self::at(START)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Sleeps on tokio's clock, so that a test that starts paused waits for nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }

    fn elapsed(&self) -> Duration {
        // Clocks of paused tests stand at different times: all count from well before.
        static BEGINNING: LazyLock<Instant> = LazyLock::new(|| {
            let now = Instant::now();
            now.checked_sub(Duration::from_secs(60)).unwrap_or(now)
        });
        Instant::now().saturating_duration_since(*BEGINNING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_are_one_clock() {
        let clock = ManualClock::default();
        let other = clock.clone();
        assert_eq!(clock.advance(Duration::from_secs(2)), other.now());
        assert_eq!(other.now(), START + Duration::from_secs(2));
        other.set(START);
        assert_eq!(clock.now(), START);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_test_waits_for_nothing() {
        let before = tokio::time::Instant::now();
        TokioTimer.sleep(Duration::from_secs(3600)).await;
        assert!(before.elapsed() >= Duration::from_secs(3600));
    }
}
