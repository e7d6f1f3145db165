//! Where a node's writers of one key wait for each other after a first conflict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_lock::{Mutex, MutexGuard};

use crate::record::Record;
use crate::token::Key;

/// How many queues a node has; keys share them by chance.
const QUEUES: usize = 64;

/// A node's queues.
#[derive(Default)]
pub(super) struct Queues(Vec<Queue>);

#[derive(Default)]
struct Queue {
    /// The writers that wait in it, and the one at its head.
    writers: AtomicUsize,
    /// Held by the writer whose turn it is; in it, what the one before has left.
    newest: Mutex<Option<(Key, Arc<Record>)>>,
}

/// A writer's turn. Ends when it is dropped.
pub(super) struct Turn<'a> {
    newest: MutexGuard<'a, Option<(Key, Arc<Record>)>>,
    counted: Counted<'a>,
}

/// A writer in the queue, until it is dropped: while it waits, or after its turn.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn among(writers: &'a AtomicUsize) -> Self {
        writers.fetch_add(1, Ordering::Relaxed);
        Self(writers)
    }

    fn is_alone(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 1
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queues {
    pub(super) fn new() -> Self {
        Self((0..QUEUES).map(|_| Queue::default()).collect())
    }

    /// Whether somebody is at the head of the queue of `key`, or waits in it.
    pub(super) fn is_busy(&self, key: &Key) -> bool {
        self.of(key).writers.load(Ordering::Relaxed) > 0
    }

    /// Waits for the turn of a writer of `key`.
    pub(super) async fn wait(&self, key: &Key) -> Turn<'_> {
        let queue = self.of(key);
        let counted = Counted::among(&queue.writers);
        Turn { newest: queue.newest.lock().await, counted }
    }
}

impl Queues {
    fn of(&self, key: &Key) -> &Queue {
        &self.0[usize::from(key.as_bytes()[0]) % QUEUES]
    }
}

impl Turn<'_> {
    /// The record as the writer before has left it, where it was one of the same key.
    pub(super) fn take(&mut self, key: &Key) -> Option<Arc<Record>> {
        self.newest.take().filter(|(of, _)| of == key).map(|(_, record)| record)
    }

    /// Ends the turn, and leaves the record as it is now to the next, where somebody waits.
    pub(super) fn leave(mut self, key: Key, record: &Arc<Record>) {
        if !self.counted.is_alone() {
            *self.newest = Some((key, Arc::clone(record)));
        }
    }
}
