//! A cache that is dropped while its feed tells takes its store down elsewhere: a feed may hold a lock
//! while it tells, and its store may need that lock to end.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Capabilities, Created, Feed, FeedSource, Keep, Near, NearOptions, Notice, Notices,
    Result,
};
use cloakroom_core::time::Sleep;
use cloakroom_core::{Commit, Ending, Guard, Key, Outcome, Record, Store, Timer, Timestamp};
use cloakroom_testkit::samples::{START, key, session};

/// Longer than anything here takes.
const BOUND: Duration = Duration::from_secs(60);

/// What happens while the feed tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Event {
    /// The last to hold the cache has let go.
    LetGo,
    /// The store is being dropped, by this thread.
    StoreEnds(ThreadId),
}

/// Holds its lock while it tells.
#[derive(Default, Debug)]
struct Locking(Mutex<Option<Arc<dyn Notices>>>);

#[async_trait]
impl Feed for Locking {
    fn follow(&self, notices: Arc<dyn Notices>) {
        *self.0.lock().unwrap() = Some(notices);
    }

    fn source(&self, _: Key) -> Option<FeedSource> {
        None
    }

    async fn beat(&self, _: FeedSource) -> Result<()> {
        Ok(())
    }

    fn reset(&self, _: FeedSource) {}
}

/// A store of nothing, which needs its feed's lock to end.
#[derive(Debug)]
struct Nothing {
    feed: Arc<Locking>,
    teller: ThreadId,
    says: Sender<Event>,
}

impl Drop for Nothing {
    fn drop(&mut self) {
        let ends_on = thread::current().id();
        self.says.send(Event::StoreEnds(ends_on)).unwrap();
        // The thread that tells would wait for ever, and the test could not say so.
        if ends_on != self.teller {
            drop(self.feed.0.lock().unwrap().take());
        }
    }
}

#[async_trait]
impl Store for Nothing {
    async fn load(&self, _: Key, _: Timestamp) -> Result<Option<Record>> {
        Ok(None)
    }

    async fn create(&self, _: Key, _: &Record, _: Option<usize>, _: Timestamp) -> Result<Created> {
        Ok(Created::Exists)
    }

    async fn commit(&self, _: Key, _: &Commit, _: Timestamp) -> Result<Outcome> {
        Ok(Outcome::Gone)
    }

    async fn end(&self, _: Key, _: &Guard, _: Announce, _: Timestamp) -> Result<Option<Record>> {
        Ok(None)
    }

    async fn expire(&self, _: usize, _: Keep, _: Timestamp) -> Result<Vec<Ending>> {
        Ok(Vec::new())
    }

    fn feed(&self) -> Option<&dyn Feed> {
        Some(&*self.feed)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: true, durable: false, keeps_endings: false }
    }
}

/// Is asked for the time in the middle of what the cache hears, and has another thread drop the cache
/// then.
#[derive(Clone, Debug)]
struct Meanwhile(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    cache: Mutex<Option<Near<Nothing>>>,
    says: Sender<Event>,
    events: Mutex<Receiver<Event>>,
    first: Mutex<Option<Event>>,
}

impl Parts {
    fn next(&self) -> Event {
        self.events.lock().unwrap().recv_timeout(BOUND).unwrap()
    }
}

impl Timer for Meanwhile {
    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }

    fn elapsed(&self) -> Duration {
        if let Some(cache) = self.0.cache.lock().unwrap().take() {
            let says = self.0.says.clone();
            thread::spawn(move || {
                drop(cache);
                says.send(Event::LetGo).unwrap();
            });
            // Either the store waits for the lock by now, or it is left to who hears.
            *self.0.first.lock().unwrap() = Some(self.0.next());
        }
        Duration::ZERO
    }
}

#[test]
fn who_hears_does_not_take_the_store_down() {
    let (says, events) = channel();
    let (feed, teller) = (Arc::<Locking>::default(), thread::current().id());
    let store = Nothing { feed: Arc::clone(&feed), teller, says: says.clone() };
    let meanwhile = Meanwhile(Arc::new(Parts {
        cache: Mutex::default(),
        says,
        events: Mutex::new(events),
        first: Mutex::default(),
    }));
    let near = Near::new(store, meanwhile.clone(), NearOptions::default()).unwrap();
    *meanwhile.0.cache.lock().unwrap() = Some(near);
    let record = Arc::new(session(START));
    let told = Notice::Told { source: FeedSource::unique(), key: key(), record };
    // Its lock is held while it tells.
    feed.0.lock().unwrap().as_ref().unwrap().hear(told);
    let first = meanwhile.0.first.lock().unwrap().unwrap();
    let happened = [first, meanwhile.0.next()];
    assert!(happened.contains(&Event::LetGo), "{happened:?}");
    assert!(!happened.contains(&Event::StoreEnds(teller)), "{happened:?}");
}
