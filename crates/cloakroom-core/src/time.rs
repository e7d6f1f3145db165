//! Points in time, and the two things a session system asks of its surroundings: what time it
//! is, and to be woken later.
//!
//! Stores never read a clock; every call is given `now`.

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::ops::Add;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch itself.
    pub const EPOCH: Self = Self(0);
    /// The largest instant a store has to keep: every store's numbers hold 53 bits exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Makes an instant of milliseconds since the epoch; anything above [`Timestamp::MAX`]
    /// becomes `MAX`.
    pub const fn from_millis(millis: u64) -> Self {
        if millis > Self::MAX.0 { Self::MAX } else { Self(millis) }
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero where `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Saturates at [`Timestamp::MAX`].
    fn add(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(duration)))
    }
}

impl Debug for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

/// Whole milliseconds of `duration`, at most `u64::MAX`.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Tells the time.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(millis(since_epoch))
    }
}

/// A future that completes when its time has come.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Wakes a task later. The runtime's side of every deadline and every back-off.
pub trait Timer: Debug + Send + Sync + 'static {
    /// Completes after `duration`.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// The time since some moment of this process, on a clock that never goes back.
    fn elapsed(&self) -> Duration;
}

/// Waits for `work`, but no longer than `limit`; `None` where it took longer and was dropped.
pub(crate) async fn within<F: Future>(
    timer: &dyn Timer,
    limit: Duration,
    work: F,
) -> Option<F::Output> {
    let (mut work, mut sleep) = (pin!(work), None);
    poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        // Most work is done at once: the timer is made only for what has to wait.
        let sleep: &mut Sleep = sleep.get_or_insert_with(|| timer.sleep(limit));
        sleep.as_mut().poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_never_overflows() {
        assert_eq!(Timestamp::MAX + Duration::MAX, Timestamp::MAX);
        assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::EPOCH.since(Timestamp::MAX), Duration::ZERO);
    }
}
