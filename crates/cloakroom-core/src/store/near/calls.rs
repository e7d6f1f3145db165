//! Calls to the store, each with its ticket from the machine.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::FutureExt;

use super::Inner;
use super::kept::Shard;
use super::machine::{Machine, Moment, Ticket};
use super::shared::{Answer, Load, WeakLoad};
use super::shelf::Shelf;
use crate::commit::{Commit, Outcome};
use crate::record::Record;
use crate::store::feed::Source;
use crate::store::{Built, Error, Result, Store};
use crate::time::Timestamp;
use crate::token::Key;

impl<S: Store> Inner<S> {
    /// Where a call on `key` goes to.
    pub(super) fn source(&self, key: Key) -> Option<Source> {
        self.store.feed()?.source(key)
    }

    /// Asks the store for a record; whoever wants the same may wait for it.
    pub(super) fn load(
        self: &Arc<Self>,
        shard: &mut Shard,
        key: Key,
        at: Moment,
        source: Option<Source>,
    ) -> Load {
        shard.stats.misses += 1;
        let ticket = shard.machine.send(key, source, at.elapsed);
        let call = Call { inner: Arc::clone(self), ticket, open: true, writes: false };
        let load = async move {
            let loaded = call.inner.store.load(ticket.key, at.now).await;
            let answer: Answer = loaded.map(|record| record.map(Arc::new)).map_err(Arc::new);
            match &answer {
                Ok(Some(record)) => call.brought(record),
                Ok(None) => call.removed(),
                Err(_) => {}
            }
            answer
        };
        let load = load.boxed().shared();
        if let Some(weak) = load.downgrade() {
            shard.machine.offer(ticket, weak);
        }
        load
    }

    /// Commits, and keeps what that makes of the record that is kept.
    pub(super) async fn commit(
        self: &Arc<Self>,
        key: Key,
        commit: &Commit,
        given: Option<Built<'_>>,
        now: Timestamp,
    ) -> Result<Outcome> {
        let (call, kept) = self.write(key);
        // What is kept is newer than what a request has read, or the same.
        let base = kept.as_ref().or(given.map(|given| given.base));
        let after = match (base, given) {
            (Some(base), Some(given)) if base.mark == given.base.mark => {
                Some(Arc::clone(given.after))
            }
            (Some(base), _) => base.apply(commit, now).1.map(Arc::new),
            (None, _) => None,
        };
        let outcome = match (base, &after) {
            (Some(base), Some(after)) => {
                self.store.commit_built(key, commit, Built { base, after }, now).await
            }
            _ => self.store.commit(key, commit, now).await,
        };
        match &outcome {
            Ok(Outcome::Done { version }) => {
                // What may have changed nothing there says nothing of what is there.
                let sure = commit.is_touch() || commit.surely_changes();
                call.committed(*version, kept.zip(after).filter(|_| sure));
            }
            Ok(Outcome::Conflict(record)) => call.brought(record),
            Ok(Outcome::Gone | Outcome::Barred) => call.removed(),
            Ok(Outcome::Refused(_)) => call.was_nothing(),
            Err(error) => call.failed(error),
        }
        outcome
    }

    /// Sends what may write: the call, and the record that it is built on as far as it is known.
    pub(super) fn write(self: &Arc<Self>, key: Key) -> (Call<S>, Option<Arc<Record>>) {
        let (source, elapsed) = (self.source(key), self.kept.timer.elapsed());
        let mut shard = self.kept.shard(&key);
        let base = shard.machine.base(&key, source);
        let ticket = shard.machine.send(key, source, elapsed);
        (Call { inner: Arc::clone(self), ticket, open: true, writes: true }, base)
    }
}

/// A call under way. Dropped without an answer, it was given up.
pub(super) struct Call<S: Store> {
    inner: Arc<Inner<S>>,
    ticket: Ticket,
    open: bool,
    writes: bool,
}

impl<S: Store> Call<S> {
    pub(super) fn end(mut self, say: impl FnOnce(&mut Machine<Shelf, WeakLoad>, Ticket, Duration)) {
        self.open = false;
        let elapsed = self.inner.kept.timer.elapsed();
        say(&mut self.inner.kept.shard(&self.ticket.key).machine, self.ticket, elapsed);
    }

    pub(super) fn brought(self, record: &Arc<Record>) {
        let record = Arc::clone(record);
        self.end(|machine, ticket, elapsed| machine.brought(ticket, record, elapsed));
    }

    /// A commit is done, built on what was kept.
    pub(super) fn committed(self, version: u64, built: Option<(Arc<Record>, Arc<Record>)>) {
        let built = built.map(|(base, after)| {
            // Of a record that has shrunk, what is left would hold on to all that was read.
            let shrunk = after.size() < base.size();
            (base.mark, if shrunk { Arc::new(after.apart()) } else { after })
        });
        self.end(|machine, ticket, elapsed| machine.committed(ticket, version, built, elapsed));
    }

    pub(super) fn removed(self) {
        self.end(|machine, ticket, _| machine.removed(ticket));
    }

    pub(super) fn was_nothing(self) {
        self.end(|machine, ticket, _| machine.was_nothing(ticket));
    }

    /// A call that failed: one whose answer is unknown is dropped as it is.
    pub(super) fn failed(self, error: &Error) {
        if !error.is_ambiguous() {
            self.was_nothing();
        }
    }
}

impl<S: Store> Drop for Call<S> {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let elapsed = self.inner.kept.timer.elapsed();
        let machine = &mut self.inner.kept.shard(&self.ticket.key).machine;
        match self.writes {
            true => machine.gave_up_writing(self.ticket, elapsed),
            false => machine.was_nothing(self.ticket),
        }
    }
}
