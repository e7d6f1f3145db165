//! What this node has written itself, so that its cache is not told of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many writes may wait to be heard of. Where there are more, the cache is told of its own
/// writes, which costs it reads and nothing else.
const MOST: usize = 1 << 16;

/// The revisions that this node has written, or is about to, and has not heard of yet.
#[derive(Default, Debug)]
pub(crate) struct Own {
    /// `None` while nobody listens.
    revisions: Mutex<Option<HashSet<i64>>>,
}

impl Own {
    /// Notes a revision that is about to be written. Unless [`Owned::done`] says that it was, it is
    /// forgotten again: nobody knows then when it is written, so the cache has to be told.
    pub(crate) fn begin(own: &Arc<Self>, revision: i64) -> Owned {
        if let Some(revisions) = &mut *own.lock() {
            if revisions.len() >= MOST {
                revisions.clear();
            }
            revisions.insert(revision);
        }
        Owned { own: Arc::clone(own), revision: Some(revision) }
    }

    /// Forgets everything, and notes what is written from now on: somebody listens.
    pub(crate) fn restart(&self) {
        *self.lock() = Some(HashSet::new());
    }

    /// Whether this node has written it. It is heard of once.
    pub(crate) fn take(&self, revision: i64) -> bool {
        self.lock().as_mut().is_some_and(|revisions| revisions.remove(&revision))
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashSet<i64>>> {
        self.revisions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A write under way.
#[derive(Debug)]
pub(crate) struct Owned {
    own: Arc<Own>,
    /// `None` once it is known to be done.
    revision: Option<i64>,
}

impl Owned {
    /// Notes that it is written: whoever made it knows, and needs not be told.
    pub(crate) fn done(mut self) {
        self.revision = None;
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(revision) = self.revision {
            self.own.take(revision);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening() -> Arc<Own> {
        let own = Arc::new(Own::default());
        own.restart();
        own
    }

    #[test]
    fn what_was_written_here_is_heard_of_once() {
        let own = listening();
        Own::begin(&own, 1).done();
        assert!(own.take(1));
        assert!(!own.take(1));
        assert!(!own.take(2));
    }

    #[test]
    fn the_news_may_come_before_the_answer() {
        let own = listening();
        let written = Own::begin(&own, 1);
        assert!(own.take(1));
        written.done();
        assert!(!own.take(1));
    }

    #[test]
    fn a_write_that_was_given_up_is_told_like_anybodys() {
        let own = listening();
        drop(Own::begin(&own, 1));
        assert!(!own.take(1));
    }

    #[test]
    fn nothing_is_kept_for_nobody_and_not_too_much_for_anybody() {
        let own = Arc::new(Own::default());
        Own::begin(&own, 1).done();
        own.restart();
        assert!(!own.take(1));
        for revision in 0..=i64::try_from(MOST).unwrap() {
            Own::begin(&own, revision).done();
        }
        assert_eq!(own.lock().as_ref().map(HashSet::len), Some(1));
    }
}
