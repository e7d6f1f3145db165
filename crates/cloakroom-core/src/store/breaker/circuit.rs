//! When a store is asked, and when it is left alone: pure.

use std::time::Duration;

use super::BreakerOptions;

/// A breaker's circuit. Times are those of one clock that never goes back.
#[derive(Clone, Debug)]
pub(super) struct Circuit {
    options: BreakerOptions,
    state: State,
    trials: u64,
}

/// A call that may be made: one of many, or the one that tries, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pass {
    Plain,
    Trial(u64),
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
        Self { options, state: State::Closed { failures: 0 }, trials: 0 }
    }

    /// Whether a call may be made at `now`; if not, in how long the store is asked again.
    pub(super) fn admit(&mut self, now: Duration) -> Result<Pass, Duration> {
        match self.state {
            State::Closed { .. } => Ok(Pass::Plain),
            State::Open { until, pause } if until <= now => Ok(self.trial(now, pause)),
            State::Open { until, .. } => Err(until - now),
            // A trial of which nothing is heard any more does not shut out all others.
            State::Trying { since, pause } if self.longest_after(since) <= now => {
                Ok(self.trial(now, pause))
            }
            State::Trying { pause, .. } => Err(pause),
        }
    }

    fn trial(&mut self, now: Duration, pause: Duration) -> Pass {
        self.trials += 1;
        self.state = State::Trying { since: now, pause };
        Pass::Trial(self.trials)
    }

    fn longest_after(&self, since: Duration) -> Duration {
        since.saturating_add(self.options.longest_pause)
    }

    /// The store has answered; whether that closes the circuit.
    pub(super) fn answered(&mut self) -> bool {
        let was_open = !matches!(self.state, State::Closed { .. });
        self.state = State::Closed { failures: 0 };
        was_open
    }

    /// A call has failed at `now`; whether that opens the circuit. One that was made before it
    /// opened says nothing new.
    pub(super) fn failed(&mut self, pass: Pass, now: Duration) -> bool {
        let BreakerOptions { failures: most, pause: first, longest_pause, .. } = self.options;
        match self.state {
            State::Closed { failures } if failures + 1 < most => {
                self.state = State::Closed { failures: failures + 1 };
                false
            }
            State::Closed { .. } => {
                self.state = State::Open { until: now.saturating_add(first), pause: first };
                true
            }
            State::Trying { pause, .. } if pass == Pass::Trial(self.trials) => {
                let pause = pause.saturating_mul(2).min(longest_pause);
                self.state = State::Open { until: now.saturating_add(pause), pause };
                false
            }
            State::Trying { .. } | State::Open { .. } => false,
        }
    }

    /// A call was given up before anything could be learnt from it. Another one may try.
    pub(super) fn said_nothing(&mut self, pass: Pass) {
        if let State::Trying { since, pause } = self.state
            && pass == Pass::Trial(self.trials)
        {
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
        let opened: Vec<bool> = (0..8).map(|_| circuit.failed(Pass::Plain, MS(0))).collect();
        assert_eq!(opened, [[false; 7].as_slice(), &[true]].concat());
        circuit
    }

    #[test]
    fn an_answer_between_failures_keeps_it_closed() {
        let mut circuit = Circuit::new(BreakerOptions::default());
        for now in 0..100 {
            assert!(!circuit.failed(Pass::Plain, MS(now)));
            if now % 7 == 6 {
                assert!(!circuit.answered());
            }
            assert_eq!(circuit.admit(MS(now)), Ok(Pass::Plain));
        }
    }

    #[test]
    fn one_call_at_a_time_tries_a_store_that_is_left_alone() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(MS(100)), Err(MS(150)));
        let trial = circuit.admit(MS(250)).unwrap();
        assert_eq!(circuit.admit(MS(250)), Err(MS(250)), "one tries, the others do not wait");
        assert!(!circuit.failed(Pass::Plain, MS(300)), "made before");
        assert!(!circuit.failed(trial, MS(300)));
        assert_eq!(circuit.admit(MS(300)), Err(MS(500)), "the pause doubles");
        assert!(circuit.admit(MS(800)).is_ok());
        assert!(circuit.answered());
        assert!(circuit.admit(MS(800)).is_ok());
        assert!(circuit.admit(MS(800)).is_ok());
    }

    #[test]
    fn a_pause_has_an_end() {
        let mut circuit = opened();
        let mut now = MS(0);
        for _ in 0..20 {
            now += MS(4000);
            let trial = circuit.admit(now).unwrap();
            circuit.failed(trial, now);
        }
        assert_eq!(circuit.admit(now), Err(MS(4000)));
    }

    #[test]
    fn a_trial_that_tells_nothing_lets_another_one_try() {
        let mut circuit = opened();
        let trial = circuit.admit(MS(250)).unwrap();
        circuit.said_nothing(Pass::Plain);
        assert!(circuit.admit(MS(251)).is_err(), "not the trial");
        circuit.said_nothing(trial);
        assert!(circuit.admit(MS(251)).is_ok());
        assert!(circuit.admit(MS(252)).is_err());
        assert!(circuit.admit(MS(4251)).is_ok(), "one that is never heard of again");
    }

    #[test]
    fn late_failures_prolong_nothing_and_a_late_answer_closes() {
        let mut circuit = opened();
        assert!(!circuit.failed(Pass::Plain, MS(200)));
        assert_eq!(circuit.admit(MS(249)), Err(MS(1)));
        assert!(circuit.answered());
        assert!(circuit.admit(MS(249)).is_ok());
    }
}
