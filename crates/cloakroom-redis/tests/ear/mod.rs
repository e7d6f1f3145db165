//! One who listens to a store's feed, and what it has to hear whatever the store's form.

#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::panic, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::commit::Expect;
use cloakroom_core::store::{Announce, Built, Feed, Keep, Notice, Notices};
use cloakroom_core::{Ended, Guard, Key, Outcome, Store};
use cloakroom_redis::RedisStore;
use cloakroom_testkit::samples::{Doing, START, administer, key, session, visit};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

/// What no notice takes. It tells one that comes from one that does not.
const BOUND: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Mouth(UnboundedSender<Notice>);

impl Notices for Mouth {
    fn hear(&self, notice: Notice) {
        let _ = self.0.send(notice);
    }
}

/// Listens to one store.
pub(crate) struct Ear {
    mouth: Arc<Mouth>,
    heard: UnboundedReceiver<Notice>,
}

impl Ear {
    /// Listens from now on.
    pub(crate) fn on(store: &RedisStore) -> Self {
        let (mouth, heard) = mpsc::unbounded_channel();
        let mouth = Arc::new(Mouth(mouth));
        store.follow(mouth.clone());
        Self { mouth, heard }
    }

    /// What the store tells.
    pub(crate) fn notices(&self) -> Arc<dyn Notices> {
        self.mouth.clone()
    }

    /// The next notice.
    pub(crate) async fn next(&mut self) -> Notice {
        timeout(BOUND, self.heard.recv()).await.expect("a notice comes").expect("it is open")
    }

    /// Everything until now.
    pub(crate) fn all(&mut self) -> Vec<Notice> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }

    /// Waits for the news that `key` has changed.
    pub(crate) async fn changed(&mut self, key: Key) {
        while self.next().await != Notice::Changed(key) {}
    }

    /// Makes sure that nothing has been told of `key`, also nothing that is on its way.
    pub(crate) async fn quiet(&mut self, store: &RedisStore, key: Key) {
        let source = store.source(key).expect("there is a source");
        store.beat(source).await.expect("it answers");
        assert!(!self.all().contains(&Notice::Changed(key)), "told of what it did itself");
    }
}

/// Every foreign change of what this store read or wrote is told, and none of its own.
pub(crate) async fn hears_foreign_changes_only(
    store: &RedisStore,
    ear: &mut Ear,
    other: &RedisStore,
) {
    let foreign = async |key: Key| {
        let outcome = other.commit(key, &administer().set("foreign", "1"), START).await;
        assert!(matches!(outcome, Ok(Outcome::Done { .. })), "{outcome:?}");
    };
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.expect("it is created");
    ear.quiet(store, key).await;

    assert!(store.load(key, START).await.expect("it answers").is_some());
    foreign(key).await;
    ear.changed(key).await;

    let own = store.commit(key, &visit(&record).set("own", "1"), START).await;
    assert!(matches!(own, Ok(Outcome::Done { .. })), "{own:?}");
    ear.quiet(store, key).await;
    foreign(key).await;
    ear.changed(key).await;

    // The same, written as it was built.
    let base = Arc::new(store.load(key, START).await.expect("it answers").expect("it lives"));
    let built = visit(&record).set("own", "2");
    let after = Arc::new(base.apply(&built, START).1.expect("it changes something"));
    let outcome =
        store.commit_built(key, &built, Built { base: &base, after: &after }, START).await;
    assert!(matches!(outcome, Ok(Outcome::Done { version }) if version == after.version));
    assert_eq!(store.load(key, START).await.expect("it answers").as_ref(), Some(&*after));
    ear.quiet(store, key).await;
    foreign(key).await;
    ear.changed(key).await;

    let late = visit(&record).set_if("foreign", Expect::Absent, "2");
    let conflict = store.commit(key, &late, START).await;
    assert!(matches!(conflict, Ok(Outcome::Conflict(_))), "{conflict:?}");
    ear.quiet(store, key).await;
    foreign(key).await;
    ear.changed(key).await;

    // One that changes the deadline, and so writes with an expiry.
    let mut own = visit(&record);
    own.ends_at = Some(Some(START + Duration::from_secs(60)));
    let _ = store.commit(key, &own, START).await.expect("it answers");
    ear.quiet(store, key).await;
    let announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };
    assert!(other.end(key, &Guard::None, announce, START).await.expect("it answers").is_some());
    ear.changed(key).await;
}

/// Nobody is told of an ending.
pub(crate) const NOBODY: Announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };

/// Waits until the store answers and is a source again.
pub(crate) async fn comes_back(store: &RedisStore) {
    let mut tries = tokio::time::interval(Duration::from_millis(10));
    let back = async {
        loop {
            tries.tick().await;
            let key = key();
            if store.load(key, START).await.is_ok()
                && let Some(source) = store.source(key)
                && store.beat(source).await.is_ok()
            {
                break;
            }
        }
    };
    timeout(BOUND, back).await.expect("the store comes back");
}
