//! Whether every change that was counted has been heard of. Pure.
//!
//! The owner of a partition numbers the changes in it, one after the other, and tells each with its
//! number. So whoever knows how many there were knows whether one was lost on its way. A member that
//! takes a partition over from one that has died begins a count under another name.

use std::collections::BTreeSet;

use crate::codec::Uuid;
use crate::codec::answer::Count;

/// How many changes may be heard of before one that came earlier.
const MOST_AHEAD: usize = 100_000;

/// What was heard of each partition.
#[derive(Debug)]
pub(crate) struct Ledger(Vec<Account>);

/// What was heard of one partition.
#[derive(Debug)]
struct Account {
    uuid: Uuid,
    /// Every change up to this one was heard of, or is of no interest.
    mark: i64,
    /// What was heard of beyond a change that was not.
    ahead: BTreeSet<i64>,
}

/// What a number of changes that was counted means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Judgement {
    /// All of them were heard of.
    Proven,
    /// Some are on their way, or lost.
    Waiting,
    /// The count is another one: nobody knows what was missed.
    Broken,
}

impl Ledger {
    /// Begins where the count stands; `None` where it does not say that of every partition.
    pub(crate) fn open(partitions: i32, counts: &[Count]) -> Option<Self> {
        let mut accounts: Vec<Option<Account>> = Vec::new();
        accounts.resize_with(usize::try_from(partitions).ok()?, || None);
        for count in counts {
            let account = accounts.get_mut(usize::try_from(count.partition).ok()?)?;
            let known = account.get_or_insert_with(|| Account {
                uuid: count.uuid,
                mark: count.sequence,
                ahead: BTreeSet::new(),
            });
            if known.uuid != count.uuid {
                return None;
            }
            known.mark = known.mark.max(count.sequence);
        }
        accounts.into_iter().collect::<Option<_>>().map(Self)
    }

    /// Notes that a change was heard of; `false` where it was counted otherwise.
    pub(crate) fn note(&mut self, change: Count) -> bool {
        let account = usize::try_from(change.partition).ok().and_then(|at| self.0.get_mut(at));
        let Some(account) = account.filter(|account| account.uuid == change.uuid) else {
            return false;
        };
        if change.sequence > account.mark {
            account.ahead.insert(change.sequence);
        }
        while account.ahead.first() == Some(&(account.mark + 1)) {
            account.ahead.pop_first();
            account.mark += 1;
        }
        account.ahead.len() <= MOST_AHEAD
    }

    /// Up to which change of each partition nothing is missing.
    pub(crate) fn marks(&self) -> Vec<i64> {
        self.0.iter().map(|account| account.mark).collect()
    }

    /// Judges what was counted by members that were asked when the marks were `before`.
    pub(crate) fn judge(&self, counts: &[Count], before: &[i64]) -> Judgement {
        let mut counted = vec![false; self.0.len()];
        let mut judgement = Judgement::Proven;
        for count in counts {
            let at = usize::try_from(count.partition).unwrap_or(usize::MAX);
            let (Some(account), Some(before)) = (self.0.get(at), before.get(at)) else {
                return Judgement::Broken;
            };
            // A count that goes backwards was taken up by somebody who did not know all of it.
            if account.uuid != count.uuid || count.sequence < *before {
                return Judgement::Broken;
            }
            if account.mark < count.sequence {
                judgement = Judgement::Waiting;
            }
            counted[at] = true;
        }
        match counted.iter().all(|is_counted| *is_counted) {
            true => judgement,
            false => Judgement::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWNER: Uuid = Uuid(1);
    const OTHER: Uuid = Uuid(2);

    fn count(partition: i32, uuid: Uuid, sequence: i64) -> Count {
        Count { partition, uuid, sequence }
    }

    fn ledger() -> Ledger {
        Ledger::open(2, &[count(0, OWNER, 5), count(1, OWNER, 0)]).unwrap()
    }

    fn judge(ledger: &Ledger, first: Count) -> Judgement {
        ledger.judge(&[first, count(1, OWNER, 0)], &[5, 0])
    }

    #[test]
    fn a_change_that_was_lost_is_missed() {
        let mut ledger = ledger();
        assert_eq!(judge(&ledger, count(0, OWNER, 5)), Judgement::Proven);
        assert!(ledger.note(count(0, OWNER, 7)));
        assert_eq!(judge(&ledger, count(0, OWNER, 7)), Judgement::Waiting);
        assert!(ledger.note(count(0, OWNER, 6)));
        assert_eq!(judge(&ledger, count(0, OWNER, 7)), Judgement::Proven);
        assert_eq!(ledger.marks(), [7, 0]);
    }

    #[test]
    fn another_count_proves_nothing() {
        let mut ledger = ledger();
        assert_eq!(judge(&ledger, count(0, OTHER, 5)), Judgement::Broken);
        assert_eq!(judge(&ledger, count(0, OWNER, 4)), Judgement::Broken);
        assert_eq!(ledger.judge(&[count(0, OWNER, 5)], &[5, 0]), Judgement::Broken);
        assert_eq!(judge(&ledger, count(7, OWNER, 5)), Judgement::Broken);
        assert!(!ledger.note(count(0, OTHER, 6)));
        assert!(!ledger.note(count(9, OWNER, 6)));
        assert!(!ledger.note(count(-1, OWNER, 6)));
    }

    #[test]
    fn a_count_begins_with_all_partitions() {
        assert!(Ledger::open(2, &[count(0, OWNER, 5)]).is_none());
        assert!(Ledger::open(1, &[count(1, OWNER, 5)]).is_none());
        assert!(Ledger::open(1, &[count(0, OWNER, 5), count(0, OTHER, 5)]).is_none());
        let moved = Ledger::open(1, &[count(0, OWNER, 5), count(0, OWNER, 6)]).unwrap();
        assert_eq!(moved.marks(), [6]);
    }

    proptest! {
        #[test]
        fn all_is_proven_exactly_when_all_was_heard(
            heard in proptest::collection::vec(1_i64..12, 0..24),
            counted in 0_i64..12,
        ) {
            let mut ledger = Ledger::open(1, &[count(0, OWNER, 0)]).unwrap();
            for sequence in &heard {
                prop_assert!(ledger.note(count(0, OWNER, *sequence)));
            }
            let all = (1..=counted).all(|sequence| heard.contains(&sequence));
            let judgement = ledger.judge(&[count(0, OWNER, counted)], &[0]);
            prop_assert_eq!(judgement == Judgement::Proven, all);
        }
    }
}
