//! How long to wait before a server that cannot be reached is tried again.

use std::time::{Duration, Instant};

use crate::record::CommitId;

/// The wait after the first failure. It doubles with each that follows.
const LEAST: Duration = Duration::from_millis(20);
/// The longest wait.
const MOST: Duration = Duration::from_secs(1);

/// The failures since the last success, and until when nobody tries. `F` is what went wrong.
#[derive(Debug)]
pub struct Backoff<F> {
    failures: u32,
    last: Option<(F, Instant)>,
}

impl<F> Default for Backoff<F> {
    fn default() -> Self {
        Self { failures: 0, last: None }
    }
}

impl<F> Backoff<F> {
    /// Notes a failure at `at`.
    pub fn failed(&mut self, why: F, at: Instant) {
        let wait = delay(self.failures, random());
        self.failures = self.failures.saturating_add(1);
        self.last = Some((why, at + wait));
    }

    /// Notes a success: the next failure is the first again.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// What went wrong, where it is too early at `at` to try again.
    pub fn waits(&self, at: Instant) -> Option<&F> {
        self.last.as_ref().filter(|(_, until)| at < *until).map(|(why, _)| why)
    }

    /// What went wrong the last time, where that was no success.
    pub fn last(&self) -> Option<&F> {
        self.last.as_ref().map(|(why, _)| why)
    }
}

/// The wait after so many failures before: between half and all of what it is at most, so that
/// nodes that lost a server together do not come back together.
pub fn delay(failures: u32, random: u32) -> Duration {
    let most = LEAST.saturating_mul(1 << failures.min(16)).min(MOST);
    most / 2 + most.mul_f64(f64::from(random) / f64::from(u32::MAX)) / 2
}

/// A number by chance.
pub fn random() -> u32 {
    let id = CommitId::random();
    id.as_bytes().first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_second() {
        for (failures, most) in [(0, 20), (1, 40), (2, 80), (5, 640), (6, 1000), (40, 1000)] {
            let most = Duration::from_millis(most);
            assert_eq!(delay(failures, u32::MAX), most);
            assert_eq!(delay(failures, 0), most / 2);
        }
    }

    #[test]
    fn nobody_tries_before_its_time_and_a_success_forgets() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        assert_eq!(backoff.waits(start), None);
        backoff.failed("first", start);
        assert_eq!(backoff.waits(start + LEAST / 4), Some(&"first"));
        assert_eq!(backoff.waits(start + LEAST), None);
        assert_eq!(backoff.last(), Some(&"first"));
        backoff.failed("second", start);
        assert_eq!(backoff.waits(start + LEAST * 3 / 4), Some(&"second"));
        backoff.succeeded();
        assert_eq!((backoff.waits(start), backoff.last()), (None, None));
    }
}
