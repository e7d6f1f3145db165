//! Whether a server is well: as its own requests show, and as checks do.

mod check;

pub(super) use check::{Begun, watch};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After how many failures in a row a server is left in peace.
const OUT_AFTER: u32 = 3;
/// For how long at first; twice as long after each failed probe.
const OUT_FIRST: Duration = Duration::from_secs(1);
const OUT_MOST: Duration = Duration::from_secs(60);

/// Whether a server gets requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Admits {
    All,
    /// The one that finds out whether it is well again.
    Probe,
    Nothing,
}

/// A server's health.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Whether there is more to say than that all is well: most requests look no further.
    troubled: AtomicBool,
    state: Mutex<State>,
    /// How often it has answered, whatever it said.
    answers: AtomicU64,
    /// How many of its failures count.
    failures: AtomicU64,
    /// What checks say.
    down: AtomicBool,
    /// Which checks count: the last that have begun. Those of a configuration before may have one
    /// more verdict to give.
    checks: AtomicU64,
}

/// How things stood with a server when a request to it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    answers: u64,
    failures: u64,
}

/// What a server's failures come to. Pure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct State {
    failures: u32,
    out_until: Option<Instant>,
    /// Whether it is out until a probe says more.
    probing: bool,
}

impl State {
    fn admits(self, now: Instant) -> Admits {
        match self.out_until {
            None => Admits::All,
            Some(until) if now < until => Admits::Nothing,
            Some(_) => Admits::Probe,
        }
    }

    /// A probe is under way: for as long as it may take, which is `within`, there is no other.
    fn probing(self, now: Instant, within: Duration) -> Self {
        let within = within.clamp(OUT_FIRST, OUT_MOST);
        Self { out_until: Some(now + within), probing: true, ..self }
    }

    /// `jitter`: between 0 and 1; servers that failed together are not probed together.
    fn failed(self, now: Instant, jitter: f64) -> Self {
        // How long it is left in peace grows with failed probes, not with how much it had to do.
        if !self.probing && self.out_until.is_some_and(|until| now < until) {
            return self;
        }
        let failures = self.failures.saturating_add(1);
        let Some(more) = failures.checked_sub(OUT_AFTER) else {
            return Self { failures, ..Self::default() };
        };
        let out = OUT_FIRST.saturating_mul(2_u32.saturating_pow(more)).min(OUT_MOST);
        let out_until = Some(now + out.mul_f64(0.75 + jitter / 2.0));
        Self { failures, out_until, probing: false }
    }

    /// It has kept a request waiting for too long, and answered nobody meanwhile.
    fn silent(self, now: Instant, jitter: f64) -> Self {
        Self { failures: self.failures.max(OUT_AFTER - 1), ..self }.failed(now, jitter)
    }
}

impl Health {
    /// Whether it gets a request now. Who is told to probe does so.
    pub(super) fn admits(&self, now: impl FnOnce() -> Instant) -> Admits {
        if self.down.load(Ordering::Relaxed) {
            return Admits::Nothing;
        }
        if !self.troubled.load(Ordering::Acquire) {
            return Admits::All;
        }
        self.with(|state| state.admits(now()))
    }

    /// A probe begins, and takes no longer than `within`.
    pub(super) fn probe(&self, now: Instant, within: Duration) {
        self.with(|state| *state = state.probing(now, within));
    }

    /// A request begins.
    pub(super) fn begin(&self) -> Since {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Since { answers: now(&self.answers), failures: now(&self.failures) }
    }

    /// Whether it has answered nobody since.
    pub(super) fn is_silent(&self, since: Since) -> bool {
        self.begin().answers == since.answers
    }

    /// It answered.
    pub(super) fn succeeded(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if self.troubled.load(Ordering::Relaxed) {
            self.with(|state| {
                *state = State::default();
                self.troubled.store(false, Ordering::Release);
            });
        }
    }

    /// It could not be reached, or broke off, and a request that began at `since` has failed.
    pub(super) fn failed(&self, since: Since, now: Instant) {
        self.count(since, |state| state.failed(now, jitter()));
    }

    /// It has kept a request waiting for too long, and answered nobody meanwhile: no other request
    /// has to find that out.
    pub(super) fn silent(&self, since: Since, now: Instant) {
        self.count(since, |state| state.silent(now, jitter()));
    }

    /// Of many requests that break together the first says it all: one that began before a failure
    /// that has been counted is none of its own.
    fn count(&self, since: Since, next: impl FnOnce(State) -> State) {
        self.with(|state| {
            if self.failures.load(Ordering::Relaxed) == since.failures {
                self.failures.fetch_add(1, Ordering::Relaxed);
                *state = next(*state);
                self.troubled.store(true, Ordering::Release);
            }
        });
    }

    /// How many of its failures have counted.
    #[cfg(test)]
    pub(super) fn failures(&self) -> u64 {
        self.begin().failures
    }

    /// Checks begin, and only these count from now on. Returns which they are.
    pub(super) fn checks_begin(&self) -> u64 {
        self.with(|_| self.checks.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// There are no checks any more.
    pub(super) fn checks_end(&self) {
        let none = self.checks_begin();
        self.set_down(none, false);
    }

    /// Sets what these checks say. Says whether that is news.
    pub(super) fn set_down(&self, checks: u64, down: bool) -> bool {
        self.with(|_| {
            let count = self.checks.load(Ordering::Relaxed) == checks;
            count && self.down.swap(down, Ordering::AcqRel) != down
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn jitter() -> f64 {
    let mut byte = [0];
    // Without randomness there is no jitter.
    _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 256.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_fails_on_is_left_in_peace_for_longer_and_longer() {
        let now = Instant::now();
        let mut state = State::default();
        for _ in 1..OUT_AFTER {
            state = state.failed(now, 0.5);
            assert_eq!(state.admits(now), Admits::All);
        }
        let mut before = Duration::ZERO;
        for _ in 0..5 {
            state = state.probing(now, OUT_FIRST).failed(now, 0.5);
            let out = state.out_until.unwrap() - now;
            assert!(out > before);
            assert_eq!(state.admits(now), Admits::Nothing);
            assert_eq!(state.admits(now + out), Admits::Probe);
            before = out;
        }
        for _ in 0..100 {
            state = state.probing(now, OUT_FIRST).failed(now, 1.0);
        }
        assert!(state.out_until.unwrap() <= now + OUT_MOST.mul_f64(1.25));
    }

    #[test]
    fn requests_that_break_together_count_once() {
        let (now, health) = (Instant::now(), Health::default());
        for _ in 1..OUT_AFTER {
            let together = [(); 50].map(|()| health.begin());
            together.into_iter().for_each(|since| health.failed(since, now));
            assert_eq!(health.admits(|| now), Admits::All);
        }
        let straggler = health.begin();
        health.failed(health.begin(), now);
        assert_eq!(health.admits(|| now), Admits::Nothing);
        // One that was under way before the probe is not the probe.
        let later = now + OUT_FIRST * 2;
        health.probe(later, OUT_FIRST);
        let probed = health.with(|state| *state);
        health.failed(straggler, later);
        assert_eq!(health.with(|state| *state), probed);
    }

    #[test]
    fn a_server_that_is_out_is_not_left_in_peace_for_longer_by_how_much_it_had_to_do() {
        let now = Instant::now();
        let state = (0..OUT_AFTER).fold(State::default(), |state, _| state.failed(now, 0.5));
        let after = (0..50).fold(state, |state, _| state.failed(now, 0.5));
        assert_eq!(after, state);
        assert_eq!(after.admits(now + OUT_FIRST * 2), Admits::Probe);
    }

    #[test]
    fn a_silent_server_is_out_at_once_and_its_probe_has_its_time() {
        let now = Instant::now();
        let state = State::default().silent(now, 0.5);
        assert_eq!(state.admits(now), Admits::Nothing);
        let (later, within) = (now + OUT_FIRST * 2, OUT_FIRST * 20);
        let probed = state.probing(later, within);
        assert_eq!(probed.admits(later + within / 2), Admits::Nothing);
        assert!(probed.silent(later + within, 0.5).out_until > state.out_until);
    }

    #[test]
    fn one_probe_is_sent_at_a_time_and_one_success_is_enough() {
        let (now, health) = (Instant::now(), Health::default());
        for _ in 0..OUT_AFTER {
            health.failed(health.begin(), now);
        }
        let later = now + OUT_FIRST * 2;
        assert_eq!(health.admits(|| now), Admits::Nothing);
        assert_eq!(health.admits(|| later), Admits::Probe);
        health.probe(later, OUT_FIRST);
        assert_eq!(health.admits(|| later), Admits::Nothing);
        health.succeeded();
        assert_eq!(health.admits(|| later), Admits::All);
        let before = health.checks_begin();
        let checks = health.checks_begin();
        assert!(!health.set_down(before, true), "checks of before say nothing any more");
        health.set_down(checks, true);
        assert_eq!(health.admits(|| later), Admits::Nothing);
    }
}
