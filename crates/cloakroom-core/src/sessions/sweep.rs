//! Removing what is over, and announcing every ending.

use super::Sessions;
use crate::error::Result;
use crate::event::{Ending, Event};
use crate::store::Keep;
use crate::time::{Timestamp, within};

/// What one sweep came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swept {
    /// It was done.
    Done {
        /// How many sessions it removed. As many as the limit: sweep again soon.
        removed: usize,
        /// How many endings it announced that another node had not.
        taken_over: usize,
    },
    /// This node's clock and the store's disagree by more than the policy allows. Nothing was
    /// removed: a fast clock must not end everybody's session.
    ClockSkew,
}

impl Sessions {
    /// Removes up to `limit` sessions that are over and announces them, and takes over endings
    /// that other nodes left unannounced. Every node may sweep; each session is removed once.
    pub async fn sweep(&self, limit: usize) -> Result<Swept> {
        if let Some(ahead_by_millis) = self.skew().await? {
            self.tell(&Event::ClockSkew { ahead_by_millis });
            return Ok(Swept::ClockSkew);
        }
        let now = self.now();
        let keep = self.keep(now);
        let removed = self.call(self.inner.store.expire(limit, keep, now)).await?;
        self.announce_all(&removed).await;
        let taken_over = self.take_over(limit, keep).await?;
        Ok(Swept::Done { removed: removed.len(), taken_over })
    }

    /// By how many milliseconds this node's clock is ahead of the store's, where that is too much.
    pub(super) async fn skew(&self) -> Result<Option<i64>> {
        let before = self.now();
        let Some(theirs) = self.call(self.inner.store.clock()).await? else {
            return Ok(None);
        };
        let (after, most) = (self.now(), self.policy().most_skew);
        let in_time = before < theirs + most && theirs < after + most;
        Ok((!in_time).then(|| difference(before, theirs)))
    }

    async fn take_over(&self, limit: usize, keep: Keep) -> Result<usize> {
        let (Keep::LeasedUntil(until), Some(endings)) = (keep, self.inner.store.endings()) else {
            return Ok(0);
        };
        let left = self.call(endings.lease(limit, until, self.now())).await?;
        self.announce_all(&left).await;
        Ok(left.len())
    }

    /// Announces one ending after the other.
    pub(super) async fn announce_all(&self, endings: &[Ending]) {
        for ending in endings {
            // In a box: hardly a request ends a session.
            Box::pin(self.announce(ending)).await;
        }
    }

    /// Tells every listener, and waits no longer for one than for the store. Where the ending is on
    /// the store's list, it is taken off once all have heard it; until then it is announced again
    /// when its lease has lapsed.
    pub(super) async fn announce(&self, ending: &Ending) {
        let mut heard = true;
        for listener in &self.inner.listeners {
            let telling = listener.on_ended(ending);
            let limit = self.policy().call_deadline;
            match within(&*self.inner.timer, limit, telling).await {
                Some(Ok(())) => continue,
                Some(Err(error)) => {
                    tracing::warn!(key = %ending.key, error, "a listener failed to hear of an ending");
                }
                None => {
                    tracing::warn!(key = %ending.key, "a listener took too long over an ending");
                }
            }
            heard = false;
        }
        let kept = matches!(self.keep(self.now()), Keep::LeasedUntil(_));
        let Some(endings) = self.inner.store.endings().filter(|_| kept && heard) else {
            return;
        };
        if let Err(error) = self.call(endings.acknowledge(ending.key)).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(key = %ending.key, error, "an announced ending could not be acknowledged");
        }
    }
}

fn difference(ours: Timestamp, theirs: Timestamp) -> i64 {
    let signed = |millis| i64::try_from(millis).unwrap_or(i64::MAX);
    signed(ours.millis()) - signed(theirs.millis())
}
