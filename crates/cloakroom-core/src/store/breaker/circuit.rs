//! When a store is asked, and when it is left alone: pure.

use std::time::Duration;

use super::BreakerOptions;

/// A breaker's circuit. Times are those of one clock that never goes back.
#[derive(Clone, Debug)]
pub(super) struct Circuit {
    options: BreakerOptions,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The store is asked; so many calls in a row have failed.
    Closed { failures: u32 },
    /// It is left alone until then, after this long a pause.
    Open { until: Duration, pause: Duration },
    /// One call tries it since then, after this long a pause.
    Trying { since: Duration, pause: Duration },
}

impl Circuit {
    pub(super) fn new(options: BreakerOptions) -> Self {
        Self { options, state: State::Closed { failures: 0 } }
    }

    /// Whether a call may be made at `now`; if not, in how long the store is asked again.
    pub(super) fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until, pause } if until <= now => {
                self.state = State::Trying { since: now, pause };
                Ok(())
            }
            State::Open { until, .. } => Err(until - now),
            // A trial of which nothing is heard any more does not shut out all others.
            State::Trying { since, pause } if since + self.options.longest_pause <= now => {
                self.state = State::Trying { since: now, pause };
                Ok(())
            }
            State::Trying { pause, .. } => Err(pause),
        }
    }

    /// The store has answered; whether that closes the circuit.
    pub(super) fn answered(&mut self) -> bool {
        let was_open = !matches!(self.state, State::Closed { .. });
        self.state = State::Closed { failures: 0 };
        was_open
    }

    /// A call has failed at `now`; whether that opens the circuit.
    pub(super) fn failed(&mut self, now: Duration) -> bool {
        let BreakerOptions { failures: most, pause: first, longest_pause, .. } = self.options;
        match self.state {
            State::Closed { failures } if failures + 1 < most => {
                self.state = State::Closed { failures: failures + 1 };
                false
            }
            State::Closed { .. } => {
                self.state = State::Open { until: now + first, pause: first };
                true
            }
            State::Trying { pause, .. } => {
                let pause = (pause * 2).min(longest_pause);
                self.state = State::Open { until: now + pause, pause };
                false
            }
            // Made before the circuit opened.
            State::Open { .. } => false,
        }
    }

    /// A call was given up before anything could be learnt from it. Another one may try.
    pub(super) fn said_nothing(&mut self) {
        if let State::Trying { since, pause } = self.state {
            self.state = State::Open { until: since, pause };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn opened() -> Circuit {
        let mut circuit = Circuit::new(BreakerOptions::default());
        let opened: Vec<bool> = (0..8).map(|_| circuit.failed(MS(0))).collect();
        assert_eq!(opened, [[false; 7].as_slice(), &[true]].concat());
        circuit
    }

    #[test]
    fn an_answer_between_failures_keeps_it_closed() {
        let mut circuit = Circuit::new(BreakerOptions::default());
        for now in 0..100 {
            assert!(!circuit.failed(MS(now)));
            if now % 7 == 6 {
                assert!(!circuit.answered());
            }
            assert_eq!(circuit.admit(MS(now)), Ok(()));
        }
    }

    #[test]
    fn one_call_at_a_time_tries_a_store_that_is_left_alone() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(MS(100)), Err(MS(150)));
        assert_eq!(circuit.admit(MS(250)), Ok(()));
        assert_eq!(circuit.admit(MS(250)), Err(MS(250)), "one tries, the others do not wait");
        assert!(!circuit.failed(MS(300)));
        assert_eq!(circuit.admit(MS(300)), Err(MS(500)), "the pause doubles");
        assert_eq!(circuit.admit(MS(800)), Ok(()));
        assert!(circuit.answered());
        assert_eq!(circuit.admit(MS(800)), Ok(()));
        assert_eq!(circuit.admit(MS(800)), Ok(()));
    }

    #[test]
    fn a_pause_has_an_end() {
        let mut circuit = opened();
        let mut now = MS(0);
        for _ in 0..20 {
            now += MS(4000);
            assert_eq!(circuit.admit(now), Ok(()));
            circuit.failed(now);
        }
        assert_eq!(circuit.admit(now), Err(MS(4000)));
    }

    #[test]
    fn a_trial_that_tells_nothing_lets_another_one_try() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(MS(250)), Ok(()));
        circuit.said_nothing();
        assert_eq!(circuit.admit(MS(251)), Ok(()));
        assert!(circuit.admit(MS(252)).is_err());
        assert_eq!(circuit.admit(MS(4251)), Ok(()), "one that is never heard of again");
    }

    #[test]
    fn late_failures_prolong_nothing_and_a_late_answer_closes() {
        let mut circuit = opened();
        assert!(!circuit.failed(MS(200)));
        assert_eq!(circuit.admit(MS(249)), Err(MS(1)));
        assert!(circuit.answered());
        assert_eq!(circuit.admit(MS(249)), Ok(()));
    }
}
