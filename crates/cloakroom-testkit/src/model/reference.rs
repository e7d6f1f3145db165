//! The plainest store there is: a map of records, [`Record::apply`], and a count of seats.

use std::collections::BTreeMap;

use cloakroom_core::commit::Limit;
use cloakroom_core::store::Created;
use cloakroom_core::{Commit, Ending, Guard, Key, Outcome, Record, Timestamp};

/// What every store is compared with.
#[derive(Debug, Default)]
pub(super) struct Reference {
    records: BTreeMap<Key, Record>,
}

impl Reference {
    pub(super) fn load(&self, key: Key, now: Timestamp) -> Option<&Record> {
        self.records.get(&key).filter(|record| !record.is_over(now))
    }

    pub(super) fn create(
        &mut self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Created {
        if self.load(key, now).is_some() {
            return Created::Exists;
        }
        if let (Some(principal), Some(seats)) = (&record.principal, seats)
            && let Some(limit) = self.full(principal, key, seats, now)
        {
            return Created::Refused(limit);
        }
        let replaced = self.records.insert(key, record.clone()).map(Box::new);
        Created::Done { replaced }
    }

    pub(super) fn commit(&mut self, key: Key, commit: &Commit, now: Timestamp) -> Outcome {
        let Some(record) = self.records.get(&key) else {
            return Outcome::Gone;
        };
        let (outcome, after) = record.apply(commit, now);
        let Some(after) = after else { return outcome };
        if let Some(sign_in) = &commit.sign_in
            && let Some(seats) = sign_in.seats
            && let Some(limit) = self.full(&sign_in.principal, key, seats, now)
        {
            return Outcome::Refused(limit);
        }
        self.records.insert(key, after);
        outcome
    }

    pub(super) fn end(&mut self, key: Key, guard: &Guard, now: Timestamp) -> Option<Record> {
        let allowed = self.load(key, now).is_some_and(|r| guard.allows(r, now));
        allowed.then(|| self.records.remove(&key)).flatten()
    }

    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<Ending> {
        let over = self.records.extract_if(.., |_, record| record.is_over(now));
        over.map(|(key, record)| Ending { key, reason: record.expiry(), record }).collect()
    }

    /// The principal's living sessions, the oldest login first.
    pub(super) fn of_principal(&self, principal: &str, now: Timestamp) -> Vec<(Key, Record)> {
        let of_principal = |record: &Record| record.principal.as_deref() == Some(principal);
        let mut listed: Vec<(Key, Record)> = self
            .records
            .iter()
            .filter(|(_, record)| of_principal(record) && !record.is_over(now))
            .map(|(key, record)| (*key, record.clone()))
            .collect();
        listed.sort_by_key(|(key, record)| (record.authenticated_at, *key));
        listed
    }

    fn full(&self, principal: &str, key: Key, seats: usize, now: Timestamp) -> Option<Limit> {
        let others = self.of_principal(principal, now).into_iter();
        let taken: Vec<Key> =
            others.map(|(other, _)| other).filter(|other| *other != key).collect();
        (taken.len() >= seats).then_some(Limit::Seats { taken })
    }
}
