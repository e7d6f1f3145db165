//! Sending one step to the store, once; and finding out what became of it where its answer was
//! lost.
//!
//! A commit and a creation are never sent twice: what is thought lost may only be late, and a
//! second send of it could meet the first one's traces, or find them gone. An ending may be: it
//! says which secret it ends.

use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use crate::commit::{Commit, Guard, Outcome};
use crate::ended::Ended;
use crate::error::{Error, Result};
use crate::event::Ending;
use crate::record::{Record, Standing};
use crate::store::{self, Announce, Built, Created};
use crate::time::{Timestamp, within};
use crate::token::{Key, random};

/// How often an ending is sent again whose answer was lost.
const RESENDS: u32 = 3;
/// The longest back-off between two tries, in milliseconds.
const LONGEST_BACK_OFF: u64 = 50;

/// What is known of a call that may change something.
pub(super) enum Sent<T> {
    /// The store's answer.
    Answered(T),
    /// No answer came, but the record, as it is now, has the change in it.
    Found(Arc<Record>),
}

impl Sessions {
    /// Waits for one call to the store, within its deadline.
    pub(super) async fn call<T>(
        &self,
        call: impl Future<Output = store::Result<T>>,
    ) -> store::Result<T> {
        let limit = self.inner.policy.call_deadline;
        match within(&*self.inner.timer, limit, call).await {
            Some(answer) => answer,
            None => Err(store::Error::Unanswered(
                format!("no answer within {} ms", limit.as_millis()).into(),
            )),
        }
    }

    /// Sends a new record.
    pub(super) async fn send_creation(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Sent<Created>> {
        let sent = self.call(self.inner.store.create(key, record, seats, now)).await;
        // A session is known by its secret; a record without one by the versions of its fields.
        self.weigh(key, sent, |found| match record.proof {
            Some(proof) => found.admits(&proof, now) != Standing::Stranger,
            None => record.fields.iter().any(|(name, field)| found.fields.get(name) == Some(field)),
        })
        .await
    }

    /// Asks the store to commit, with what that makes of the record where it is known.
    pub(super) async fn ask_to_commit(
        &self,
        key: Key,
        commit: &Commit,
        built: Option<Built<'_>>,
        now: Timestamp,
    ) -> store::Result<Outcome> {
        let store = &self.inner.store;
        self.call(match built {
            Some(built) => store.commit_built(key, commit, built, now),
            None => store.commit(key, commit, now),
        })
        .await
    }

    /// Sends a commit.
    pub(super) async fn send_commit(
        &self,
        key: Key,
        commit: &Commit,
        built: Option<Built<'_>>,
        now: Timestamp,
    ) -> Result<Sent<Outcome>> {
        let sent = self.ask_to_commit(key, commit, built, now).await;
        self.weigh(key, sent, |found| found.contains(commit)).await
    }

    /// The answer, or, where it was lost, the record that has the change in it. Anything else is
    /// unknown: it was applied and built upon, or ended since, or is late, or lost.
    async fn weigh<T>(
        &self,
        key: Key,
        sent: store::Result<T>,
        contains: impl Fn(&Record) -> bool,
    ) -> Result<Sent<T>> {
        let error = match sent {
            Ok(answer) => return Ok(Sent::Answered(answer)),
            Err(error) if !error.is_ambiguous() => return Err(error.into()),
            Err(error) => error,
        };
        // In a box: hardly an answer is lost.
        match Box::pin(self.newest(key, self.now())).await {
            Ok(Some(found)) if contains(&found) => Ok(Sent::Found(found)),
            _ => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(%key, error, "what became of a commit is unknown");
                Err(Error::OutcomeUnknown)
            }
        }
    }

    /// Removes a session: what it held, and whether there was something to remove. One whose answer
    /// was lost counts as removed when nothing is found at the next try.
    pub(super) async fn remove(
        &self,
        key: Key,
        guard: &Guard,
        reason: Ended,
    ) -> Result<(Option<Ending>, bool)> {
        let mut tries = 0;
        loop {
            let now = self.now();
            let announce = Announce { reason, keep: self.keep(now) };
            match self.call(self.inner.store.end(key, guard, announce, now)).await {
                Ok(ended) => {
                    let was_there = ended.is_some() || tries > 0;
                    let ending = ended.map(|record| Ending { key, reason, record });
                    return Ok((ending, was_there));
                }
                Err(error) if error.is_ambiguous() && tries < RESENDS => {
                    tries += 1;
                    self.back_off(tries).await;
                }
                Err(error) if error.is_ambiguous() || tries > 0 => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(%key, error, "what became of an ending is unknown");
                    return Err(Error::OutcomeUnknown);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits a random while, longer with every try.
    pub(super) async fn back_off(&self, tries: u32) {
        let most = 2_u64.saturating_pow(tries).min(LONGEST_BACK_OFF);
        let millis = u64::from(u16::from_be_bytes(random())) % most + 1;
        self.inner.timer.sleep(Duration::from_millis(millis)).await;
    }
}
