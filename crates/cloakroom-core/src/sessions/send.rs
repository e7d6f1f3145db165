//! Sending one step to the store, and again where its answer was lost.

use std::time::Duration;

use super::Sessions;
use crate::commit::{Commit, Expect, Guard, Outcome};
use crate::error::{Error, Result};
use crate::event::Ended;
use crate::record::Record;
use crate::store::{self, Announce, Created};
use crate::time::{Timestamp, within};
use crate::token::{Key, random};

/// How often a call is sent again whose answer was lost.
const RESENDS: u32 = 3;
/// The longest back-off between two tries, in milliseconds.
const LONGEST_BACK_OFF: u64 = 50;

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

    /// Sends a new record. One whose key is random is there only because an earlier send put it
    /// there.
    pub(super) async fn send_creation(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        let mut tries = 0;
        loop {
            let sent = self.call(self.inner.store.create(key, record, seats, now)).await;
            match self.weigh(sent, &mut tries).await? {
                Some(Created::Exists) if tries > 0 && record.proof.is_some() => {
                    return Ok(Created::Done { replaced: None });
                }
                Some(created) => return Ok(created),
                None => {}
            }
        }
    }

    /// Sends a commit, and again where its answer was lost. The commit's id tells the store that it
    /// is the same; what it must not overwrite is pinned to `base` then, so that a commit that was
    /// applied, and that others have built on since, is not applied twice.
    pub(super) async fn send_commit(
        &self,
        key: Key,
        commit: &mut Commit,
        base: Option<&Record>,
        now: Timestamp,
    ) -> Result<Outcome> {
        let mut tries = 0;
        loop {
            let sent = self.call(self.inner.store.commit(key, commit, now)).await;
            match self.weigh(sent, &mut tries).await? {
                Some(Outcome::Done { version }) => return Ok(Outcome::Done { version }),
                // Applied and overwritten, or not applied: nobody can tell.
                Some(_) if tries > 0 => return Err(Error::OutcomeUnknown),
                Some(outcome) => return Ok(outcome),
                None => pin(commit, base),
            }
        }
    }

    /// Sends an ending: what it removed, and whether there was something to remove. An ending whose
    /// answer was lost counts as done when it is sent again and finds nothing.
    pub(super) async fn send_ending(
        &self,
        key: Key,
        guard: &Guard,
        reason: Ended,
    ) -> Result<(Option<Record>, bool)> {
        let mut tries = 0;
        loop {
            let now = self.now();
            let announce = Announce { reason, keep: self.keep(now) };
            let sent = self.call(self.inner.store.end(key, guard, announce, now)).await;
            if let Some(ended) = self.weigh(sent, &mut tries).await? {
                let was_there = ended.is_some() || tries > 0;
                return Ok((ended, was_there));
            }
        }
    }

    /// An answer; `None` where it was lost and the call is to be sent again.
    async fn weigh<T>(&self, sent: store::Result<T>, tries: &mut u32) -> Result<Option<T>> {
        match sent {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_ambiguous() && *tries < RESENDS => {
                *tries += 1;
                self.back_off(*tries).await;
                Ok(None)
            }
            Err(error) if error.is_ambiguous() || *tries > 0 => {
                tracing::warn!(%error, "a commit was not confirmed");
                Err(Error::OutcomeUnknown)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits a random while, longer with every try.
    pub(super) async fn back_off(&self, tries: u32) {
        let most = 2_u64.saturating_pow(tries).min(LONGEST_BACK_OFF);
        let millis = u64::from(u16::from_be_bytes(random())) % most + 1;
        self.inner.timer.sleep(Duration::from_millis(millis)).await;
    }
}

fn pin(commit: &mut Commit, base: Option<&Record>) {
    for (name, change) in &mut commit.fields {
        if change.expect == Expect::Any {
            let field = base.and_then(|record| record.fields.get(name));
            change.expect = Expect::unchanged(field);
        }
    }
}
