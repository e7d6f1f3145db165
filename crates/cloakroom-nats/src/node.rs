//! What this node knows of the bucket, and whom it tells: written by the watch and by the answers to
//! this node's own calls, under one lock, so that nothing is told that an answer has overtaken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cloakroom_core::Record;
use cloakroom_core::store::{FeedSource as Source, Held, Notice, Notices, Place};
use tokio::sync::{oneshot, watch};

use crate::bucket::Stream;
use crate::fault::Fault;
use crate::index::{Content, Heard, Index};

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    state: Mutex<State>,
    /// The source that is up.
    source: RwLock<Option<Source>>,
    /// Whether the watch that is at work has told everything that there was.
    up: watch::Sender<bool>,
}

#[derive(Default, Debug)]
struct State {
    index: Index,
    /// The stream that was watched last.
    stream: Option<Stream>,
    follower: Option<Arc<dyn Notices>>,
    /// The source that tells; it may not be up yet.
    telling: Option<Source>,
    /// Who waits for the watch to come to which revision.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
}

impl Default for Node {
    fn default() -> Self {
        Self { state: Mutex::default(), source: RwLock::default(), up: watch::Sender::new(false) }
    }
}

/// What the watch has heard of a place.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) place: Place,
    pub(crate) revision: u64,
    pub(crate) content: Option<Content>,
    /// The record, where there is one and it can be read.
    pub(crate) record: Option<Arc<Record>>,
}

impl News {
    /// Reads what the watch has brought. Nothing in a place is an empty message. The record is read
    /// only where somebody follows.
    pub(crate) fn read(place: Place, revision: u64, held: &Held, followed: bool) -> Self {
        let content = (!held.bytes.is_empty()).then(|| Content::of(&held.bytes));
        let record = match (place, content) {
            (Place::Record(key), Some(_)) if followed => {
                held.record(key).ok().flatten().map(Arc::new)
            }
            _ => None,
        };
        Self { place, revision, content, record }
    }
}

impl Node {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the index.
    pub(crate) fn index<T>(&self, work: impl FnOnce(&mut Index) -> T) -> T {
        work(&mut self.state().index)
    }

    /// Whether somebody follows.
    pub(crate) fn is_followed(&self) -> bool {
        self.state().follower.is_some()
    }

    /// The source that is up.
    pub(crate) fn source(&self) -> Option<Source> {
        *self.source.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_source(&self, source: Option<Source>) {
        *self.source.write().unwrap_or_else(PoisonError::into_inner) = source;
        self.up.send_replace(source.is_some());
    }

    /// Waits until everything has been told.
    pub(crate) async fn caught_up(&self) {
        // It is not dropped while it is waited for.
        let _ = self.up.subscribe().wait_for(|up| *up).await;
    }

    /// A watch begins, of a stream as it is: the source that it is.
    pub(crate) fn begin(&self, stream: Stream) -> Source {
        let mut state = self.state();
        self.stop(&mut state);
        // The highest revision that is known was asked for before the stream was.
        let is_the_same =
            state.stream.as_ref().is_some_and(|before| before.created == stream.created)
                && state.stream.as_ref().is_some_and(|before| before.last <= stream.last);
        state.index.begin(is_the_same);
        state.stream = Some(stream);
        let source = Source::unique();
        state.telling = Some(source);
        source
    }

    /// Notes how far the stream is known to have come, before it is asked how far it is.
    pub(crate) fn about_to_begin(&self) {
        let mut state = self.state();
        let highest = state.index.highest();
        if let Some(stream) = &mut state.stream {
            stream.last = highest;
        }
    }

    /// Whether this source still tells.
    pub(crate) fn tells(&self, source: Source) -> bool {
        self.state().telling == Some(source)
    }

    /// The watch has told everything that there was.
    pub(crate) fn come_up(&self, source: Source) {
        let mut state = self.state();
        if state.telling != Some(source) || self.source() == Some(source) {
            return;
        }
        state.index.caught_up();
        if let Some(follower) = &state.follower {
            follower.hear(Notice::Up(source));
        }
        self.set_source(Some(source));
    }

    /// Whoever tells stops.
    fn stop(&self, state: &mut State) {
        self.set_source(None);
        state.waiting.clear();
        if let (Some(source), Some(follower)) = (state.telling.take(), &state.follower) {
            follower.hear(Notice::Down(source));
        }
    }

    /// Gives up a source, where it is the one that tells.
    pub(crate) fn give_up(&self, source: Source) {
        let mut state = self.state();
        if state.telling == Some(source) {
            self.stop(&mut state);
        }
    }

    /// Tells `follower` from now on, and nobody else.
    pub(crate) fn follow(&self, follower: Arc<dyn Notices>) {
        let mut state = self.state();
        self.stop(&mut state);
        state.follower = Some(follower);
    }

    /// The watch tells; `false` where it is another one's turn.
    pub(crate) fn hear(&self, source: Source, news: News) -> bool {
        let mut state = self.state();
        if state.telling != Some(source) {
            return false;
        }
        let News { place, revision, content, record } = news;
        let heard = state.index.hear(place, revision, content);
        let (Place::Record(key), Some(follower)) = (place, &state.follower) else {
            state.answer();
            return true;
        };
        // Under the lock: no answer can make this old before it is told.
        follower.hear(match (heard, record) {
            (Heard::News, Some(record)) => Notice::Told { source, key, record },
            _ => Notice::Changed(key),
        });
        state.answer();
        true
    }

    /// The watch has come to a revision, which says nothing else.
    pub(crate) fn pass(&self, source: Source, revision: u64) {
        let mut state = self.state();
        if state.telling == Some(source) {
            state.index.passed(revision);
            state.answer();
        }
    }

    /// Waits until a source has told everything up to a revision; it may be down before.
    pub(crate) async fn told(&self, source: Source, revision: u64) -> Result<(), Fault> {
        let told = {
            let mut state = self.state();
            if state.telling != Some(source) {
                return Err(Fault::Replaced);
            }
            let (tell, told) = oneshot::channel();
            // Who has given up waits no more.
            state.waiting.retain(|(_, waiting)| !waiting.is_closed());
            state.waiting.push((revision, tell));
            state.answer();
            told
        };
        told.await.map_err(|_| Fault::Replaced)
    }
}

impl State {
    /// Answers those whose revision has been told.
    fn answer(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let seen = self.index.seen();
        for (_, tell) in self.waiting.extract_if(.., |(revision, _)| *revision <= seen) {
            // Who has given up need not know.
            let _ = tell.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{Key, Kind};

    use super::*;
    use crate::index::Hash;

    /// What a follower has heard.
    #[derive(Default, Debug)]
    struct Heard(Mutex<Vec<Notice>>);

    impl Notices for Heard {
        fn hear(&self, notice: Notice) {
            self.0.lock().unwrap().push(notice);
        }
    }

    fn content(bytes: &[u8]) -> Option<Content> {
        Some(Content { hash: Hash::of(bytes), label: Default::default() })
    }

    fn stream(last: u64) -> Stream {
        Stream { created: "then".to_owned(), last }
    }

    fn news(key: Key, revision: u64) -> News {
        let record = Record::new(None, cloakroom_core::Timestamp::EPOCH);
        let place = Place::Record(key);
        News { place, revision, content: content(b"x"), record: Some(Arc::new(record)) }
    }

    #[test]
    fn what_an_answer_has_overtaken_is_told_without_its_content() {
        let (node, heard) = (Node::default(), Arc::new(Heard::default()));
        node.follow(Arc::clone(&heard) as _);
        let source = node.begin(stream(0));
        node.come_up(source);
        let key = Key::random(Kind::Session);
        // This node has ended what another one has written before.
        node.index(|index| index.learn(Place::Record(key), 5, None));
        assert!(node.hear(source, news(key, 4)));
        assert!(node.hear(source, news(key, 6)));
        let notices = heard.0.lock().unwrap();
        assert_eq!(notices[..2], [Notice::Up(source), Notice::Changed(key)]);
        assert!(matches!(&notices[2], Notice::Told { source: by, .. } if *by == source));
    }

    #[test]
    fn a_source_that_is_down_tells_nothing() {
        let (node, heard) = (Node::default(), Arc::new(Heard::default()));
        node.follow(Arc::clone(&heard) as _);
        let first = node.begin(stream(0));
        node.come_up(first);
        let second = node.begin(stream(0));
        let key = Key::random(Kind::Session);
        assert!(!node.hear(first, news(key, 1)));
        // What there is may be told before a source is up.
        assert!(node.hear(second, news(key, 1)));
        assert_eq!(node.source(), None);
        node.come_up(first);
        node.come_up(second);
        assert_eq!(node.source(), Some(second));
        let notices = heard.0.lock().unwrap();
        assert_eq!(notices[..2], [Notice::Up(first), Notice::Down(first)]);
        assert!(matches!(&notices[2], Notice::Told { source, .. } if *source == second));
        assert_eq!(notices[3..], [Notice::Up(second)]);
    }

    #[test]
    fn a_stream_that_has_lost_something_is_another_one() {
        let node = Node::default();
        let (key, hash) = (Key::random(Kind::Session), Hash::of(b"x"));
        let known = || node.index(|index| index.revision_of(Place::Record(key), hash));
        let begin = |stream| {
            node.about_to_begin();
            node.begin(stream)
        };
        begin(stream(0));
        node.index(|index| index.learn(Place::Record(key), 7, content(b"x")));
        begin(stream(7));
        assert_eq!(known(), Some(7));
        begin(stream(6));
        assert_eq!(known(), None);
        node.index(|index| index.learn(Place::Record(key), 7, content(b"x")));
        begin(Stream { created: "now".to_owned(), last: 9 });
        assert_eq!(known(), None);
    }
}
