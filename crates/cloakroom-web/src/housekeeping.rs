//! Sweeps up, every now and then.

use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use cloakroom_core::{Error, Sessions, Swept};
use futures_util::FutureExt;
use tokio::task::JoinHandle;

/// The most sessions that one sweep removes, and endings that it takes over.
const BATCH: usize = 1024;
/// The longest wait after failed sweeps, in pauses.
const LONGEST_WAIT: u32 = 16;

/// A task that removes sessions that are over and announces their end. It stops when this is
/// dropped. Every node may run one: each session is removed once.
#[derive(Debug)]
#[must_use = "housekeeping stops when this is dropped"]
pub struct Housekeeping {
    task: JoinHandle<()>,
}

impl Housekeeping {
    /// Starts to sweep, `every` so often and up to a quarter later, so that nodes that start
    /// together do not sweep together. Where a sweep fails, waits twice as long, and so on up to 16
    /// times. Has to be called within tokio's runtime.
    pub fn start(sessions: &Sessions, every: Duration) -> Self {
        let task = tokio::spawn(keep_house(sessions.clone(), every));
        Self { task }
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_house(sessions: Sessions, every: Duration) {
    let mut pauses = 1;
    loop {
        tokio::time::sleep(jittered(every) * pauses).await;
        pauses = match sweep_all(&sessions).await {
            Ok(()) => 1,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "sessions could not be swept");
                (2 * pauses).min(LONGEST_WAIT)
            }
        };
    }
}

/// Sweeps in batches until nothing is left that is over.
async fn sweep_all(sessions: &Sessions) -> Result<(), Error> {
    loop {
        // A listener that panics must not end housekeeping for good.
        let swept = AssertUnwindSafe(sessions.sweep(BATCH)).catch_unwind().await;
        let Ok(swept) = swept else {
            tracing::error!("a listener panicked while sessions were swept");
            return Ok(());
        };
        match swept? {
            Swept::Done { removed, taken_over } if removed.max(taken_over) >= BATCH => {
                tokio::task::yield_now().await;
            }
            Swept::Done { .. } => return Ok(()),
            Swept::ClockSkew => {
                tracing::warn!("this machine's clock and the store's disagree; nothing was swept");
                return Ok(());
            }
        }
    }
}

/// `every`, or up to a quarter more. A hasher's random seed is random enough for that.
fn jittered(every: Duration) -> Duration {
    let hash = RandomState::new().hash_one(0);
    let thousandths = u32::try_from(hash % 250).unwrap_or(0);
    every.saturating_add(every / 1000 * thousandths)
}
