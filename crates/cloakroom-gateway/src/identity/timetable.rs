//! Which key signs, which are published still, and when a new one is made. Pure: every node comes to
//! the same answer from the same files.

use std::time::Duration;

use cloakroom::Timestamp;
use cloakroom::jwt::MOST_LEEWAY;

/// How long a key is announced before it signs, at most: a day is enough for any verifier.
const LONGEST_LEAD: Duration = Duration::from_secs(24 * 60 * 60);
/// How far the clocks of nodes may be from each other.
const SKEW: Duration = Duration::from_secs(60);
/// How long verifiers may keep the published keys, at most.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(5 * 60);
/// How often a node looks at the keys' directory, at least.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Moments at which keys begin to sign are multiples of this, so that nodes that make one at the same
/// time make the same.
const COARSEST_GRAIN: u64 = 60 * 60;

/// The second since the epoch from which on a key signs. The first key of all has 0.
pub(super) type Begin = u64;

/// How keys follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Timetable {
    /// How often a new key begins to sign.
    pub(super) rotate_every: Duration,
    /// How long what is signed counts.
    pub(super) lifetime: Duration,
}

impl Timetable {
    /// Which of the keys signs: the last that has begun. Where none has, as the clock of the node
    /// that made them is ahead, the first. `begins` is in order.
    pub(super) fn signing(begins: &[Begin], now: Timestamp) -> Option<usize> {
        let begun = begins.iter().rposition(|begin| *begin <= seconds(now));
        begun.or((!begins.is_empty()).then_some(0))
    }

    /// The moment from which on a key that is now to be made will sign; `None` where none is.
    /// `begins` is in order.
    pub(super) fn missing(&self, begins: &[Begin], now: Timestamp) -> Option<Begin> {
        let Some(last) = begins.last() else { return Some(0) };
        let due = last.saturating_add(self.rotate_every.as_secs());
        let earliest = seconds(now + self.lead());
        if *last > seconds(now) || earliest < due {
            return None;
        }
        Some(earliest.max(due).next_multiple_of(self.grain()))
    }

    /// Those of the keys that nothing is to be verified with any more: what they signed has lapsed for
    /// the most lenient verifier. `begins` is in order.
    pub(super) fn retired<'a>(
        &self,
        begins: &'a [Begin],
        now: Timestamp,
    ) -> impl Iterator<Item = Begin> + 'a {
        let stays = (self.lifetime + MOST_LEEWAY + SKEW).as_secs();
        let over = move |next: Begin| next.saturating_add(stays) < seconds(now);
        begins.windows(2).filter(move |pair| over(pair[1])).map(|pair| pair[0])
    }

    /// How long a key is announced before it signs.
    fn lead(&self) -> Duration {
        (self.rotate_every / 4).min(LONGEST_LEAD)
    }

    fn grain(&self) -> u64 {
        (self.lead().as_secs() / 4).clamp(1, COARSEST_GRAIN)
    }

    /// How long verifiers may keep the published keys: well within the time that a new one is announced.
    pub(super) fn max_age(&self) -> Duration {
        (self.lead() / 4).min(LONGEST_MAX_AGE)
    }

    /// How long a node may go without a look at the directory.
    pub(super) fn pause(&self) -> Duration {
        (self.lead() / 4).clamp(Duration::from_secs(1), LONGEST_PAUSE)
    }
}

fn seconds(instant: Timestamp) -> u64 {
    instant.millis() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;
    const MONTHLY: Timetable = Timetable {
        rotate_every: Duration::from_secs(30 * DAY),
        lifetime: Duration::from_secs(60),
    };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_last_key_that_has_begun_signs() {
        let begins = [0, 100, 200];
        for (now, signs) in [(0, 0), (99, 0), (100, 1), (199, 1), (200, 2), (9999, 2)] {
            assert_eq!(Timetable::signing(&begins, at(now)), Some(signs), "{now}");
        }
        assert_eq!(Timetable::signing(&[50], at(1)), Some(0));
        assert_eq!(Timetable::signing(&[], at(1)), None);
    }

    #[test]
    fn nodes_that_start_at_once_make_the_same_first_key() {
        for now in [1, 59, 60, 1_800_000_000] {
            assert_eq!(MONTHLY.missing(&[], at(now)), Some(0));
        }
    }

    #[test]
    fn a_key_is_made_a_day_before_it_signs() {
        let last = 1_800_000_100;
        let due = last + 30 * DAY;
        assert_eq!(MONTHLY.missing(&[0, last], at(due - DAY - 1)), None);
        let made = MONTHLY.missing(&[0, last], at(due - DAY)).unwrap();
        assert!((due..due + COARSEST_GRAIN).contains(&made), "{made}");
        assert_eq!(MONTHLY.missing(&[0, last], at(due - DAY + 1)), Some(made), "the same");
        assert_eq!(MONTHLY.missing(&[0, last, made], at(due - DAY + 2)), None, "made once");
    }

    #[test]
    fn a_key_that_is_late_is_announced_all_the_same() {
        let now = 1_900_000_000;
        for last in [0, now - 300 * DAY] {
            let made = MONTHLY.missing(&[last], at(now)).unwrap();
            assert!(made >= now + DAY, "{made}");
        }
    }

    #[test]
    fn a_key_is_published_until_what_it_signed_has_lapsed() {
        let begins = [0, 1000, 2000];
        let retired = |now| MONTHLY.retired(&begins, at(now)).collect::<Vec<_>>();
        assert_eq!(retired(1000 + 60 + 60 + 60), [0; 0]);
        assert_eq!(retired(1000 + 60 + 60 + 61), [0]);
        assert_eq!(retired(9_000_000), [0, 1000], "the last stays");
    }

    #[test]
    fn verifiers_fetch_a_key_before_it_signs() {
        for rotate_every in [16, 3600, 30 * DAY] {
            let table = Timetable { rotate_every: Duration::from_secs(rotate_every), ..MONTHLY };
            assert!(table.max_age() + table.pause() < table.lead(), "{rotate_every}");
        }
    }
}
