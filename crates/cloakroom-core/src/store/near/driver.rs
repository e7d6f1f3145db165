//! The heartbeats: each source is asked again and again whether it is still there.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use futures_util::task::AtomicWaker;

use super::{Inner, locked};
use crate::store::feed::Source;
use crate::store::{Error, Store};
use crate::time::within;

/// How long a source that has come up waits for its first heartbeat.
const SHORTEST: Duration = Duration::from_millis(20);

/// Wakes the driver before its time.
#[derive(Default, Debug)]
pub(super) struct Wake {
    asked: AtomicBool,
    waker: AtomicWaker,
}

impl Wake {
    pub(super) fn now(&self) {
        self.asked.store(true, Ordering::Release);
        self.waker.wake();
    }

    async fn asked(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            match self.asked.swap(false, Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// Asks all sources, waits for the next time, and so on until the cache is gone.
pub(super) async fn drive<S: Store>(cache: Weak<Inner<S>>, wake: Arc<Wake>) {
    while let Some(inner) = cache.upgrade() {
        let began = inner.kept.timer.elapsed();
        let sources = locked(&inner.kept.sources).clone();
        join_all(sources.into_iter().map(|source| inner.beat(source))).await;
        let took = inner.kept.timer.elapsed().saturating_sub(began);
        let next = inner.kept.timer.sleep(inner.options.heartbeat.saturating_sub(took));
        // While it waits, the driver keeps nothing alive.
        let timer = Arc::clone(&inner.kept.timer);
        drop(inner);
        if let Either::Right((_, next)) = select(next, Box::pin(wake.asked())).await {
            // However often sources come up, there are not many rounds.
            select(next, timer.sleep(SHORTEST)).await;
        }
    }
}

impl<S: Store> Inner<S> {
    /// Asks one source. One that does not answer in time vouches for nothing any more.
    async fn beat(&self, source: Source) {
        let Some(feed) = self.store.feed() else {
            return;
        };
        let sent = self.kept.timer.elapsed();
        let answer = within(&*self.kept.timer, self.options.patience, feed.beat(source)).await;
        if matches!(answer, Some(Ok(()))) {
            let answered = self.kept.timer.elapsed();
            self.kept.each_shard(|machine| machine.beat(source, sent, answered));
            return;
        }
        self.kept.each_shard(|machine| machine.flushed(source));
        if let Some(Err(error)) = &answer {
            let cause: &dyn std::error::Error = error;
            tracing::debug!(error = cause, "a feed has not answered its heartbeat");
        }
        // A server that refuses to write is there: another connection would not please it more.
        if !matches!(answer, Some(Err(Error::Refused(_)))) {
            feed.reset(source);
        }
    }
}
