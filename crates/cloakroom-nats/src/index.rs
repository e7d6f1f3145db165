//! What this node knows of every place without its content: at which revision it is, a hash of what
//! is in it, and its label. Pure.
//!
//! It is told by the watch, in order, and by the answers to this node's own calls, which may be
//! ahead of the watch. The higher revision counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Included, Unbounded};

use cloakroom_core::store::{Due, Label, Place};
use cloakroom_core::{Key, Kind, Timestamp};
use sha2::{Digest, Sha256};

/// How many keys one look at the index may pass, so that nobody waits for it for long.
const CHUNK: usize = 4096;

/// The first 128 bits of a SHA-256: what is hashed may come from an attacker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hash([u8; 16]);

impl Hash {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 16];
        hash.copy_from_slice(&Sha256::digest(bytes)[..16]);
        Self(hash)
    }
}

/// What is in a place, without its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Content {
    pub(crate) hash: Hash,
    pub(crate) label: Label,
}

impl Content {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { hash: Hash::of(bytes), label: Label::of(bytes).unwrap_or_default() }
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    revision: u64,
    content: Content,
    /// The watch that was at work when this became known.
    run: u32,
}

/// What the watch has told, next to what was known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// Nothing newer is known.
    News,
    /// Something newer is known, from an answer.
    Overtaken,
}

/// The index.
#[derive(Default, Debug)]
pub(crate) struct Index {
    places: BTreeMap<Place, Known>,
    over: BTreeSet<(Timestamp, Key)>,
    lapsed: BTreeSet<(Timestamp, Key)>,
    /// What this node knows to be removed, as far as the watch has not told so.
    removed: HashMap<Place, u64>,
    /// The highest revision that the watch has told.
    seen: u64,
    /// The highest revision that is known.
    highest: u64,
    run: u32,
}

impl Index {
    /// A watch begins, which tells everything once more. Where the bucket is another one, or has
    /// lost what it had, nothing is known.
    pub(crate) fn begin(&mut self, is_the_same: bool) {
        let run = self.run.wrapping_add(1);
        if !is_the_same {
            *self = Self::default();
        }
        (self.run, self.seen) = (run, 0);
    }

    /// The watch has told everything that there was: what it has not told is there no more.
    pub(crate) fn caught_up(&mut self) {
        let run = self.run;
        let stale: Vec<Place> =
            self.places.iter().filter(|(_, known)| known.run != run).map(|(at, _)| *at).collect();
        for place in stale {
            self.take(place);
        }
    }

    /// The watch has come to a revision, whatever it was.
    pub(crate) fn passed(&mut self, revision: u64) {
        self.seen = self.seen.max(revision);
        self.highest = self.highest.max(revision);
        self.removed.retain(|_, removed| *removed > revision);
    }

    /// The watch tells what is in a place since `revision`.
    pub(crate) fn hear(&mut self, place: Place, revision: u64, content: Option<Content>) -> Heard {
        self.seen = self.seen.max(revision);
        self.highest = self.highest.max(revision);
        if self.least(place) > revision {
            return Heard::Overtaken;
        }
        self.removed.remove(&place);
        self.set(place, revision, content);
        Heard::News
    }

    /// An answer tells what is in a place since `revision`. The watch may have told more by now.
    pub(crate) fn learn(&mut self, place: Place, revision: u64, content: Option<Content>) {
        self.highest = self.highest.max(revision);
        if revision <= self.seen || revision <= self.least(place) {
            return;
        }
        self.set(place, revision, content);
        match content {
            Some(_) => drop(self.removed.remove(&place)),
            None => drop(self.removed.insert(place, revision)),
        }
    }

    fn set(&mut self, place: Place, revision: u64, content: Option<Content>) {
        self.take(place);
        let Some(content) = content else {
            return;
        };
        if let Place::Record(key) = place {
            if content.label.over_from != Timestamp::MAX {
                self.over.insert((content.label.over_from, key));
            }
            if content.label.lapses_at != Timestamp::MAX {
                self.lapsed.insert((content.label.lapses_at, key));
            }
        }
        self.places.insert(place, Known { revision, content, run: self.run });
    }

    fn take(&mut self, place: Place) {
        if let (Some(Known { content, .. }), Place::Record(key)) =
            (self.places.remove(&place), place)
        {
            self.over.remove(&(content.label.over_from, key));
            self.lapsed.remove(&(content.label.lapses_at, key));
        }
    }

    /// The revision at which a place is known to be, or to have been emptied; 0 where nothing is
    /// known.
    pub(crate) fn least(&self, place: Place) -> u64 {
        let removed = self.removed.get(&place).copied();
        let known = self.places.get(&place).map(|known| known.revision);
        known.max(removed).unwrap_or(0)
    }

    /// Whether whoever answered so knows less than this node. The watch tells everything in order:
    /// what is filled since a revision that it has passed is filled since just the one that it told.
    /// `answer` is the revision of the last message, and whether it fills the place.
    pub(crate) fn is_ahead_of(&self, place: Place, answer: Option<(u64, bool)>) -> bool {
        let known = self.places.get(&place).map(|known| known.revision);
        match answer {
            None => known.is_some(),
            Some((revision, is_filled)) => {
                let was_told = revision <= self.seen;
                self.least(place) > revision || is_filled && was_told && known != Some(revision)
            }
        }
    }

    /// The revision at which a place was emptied, 0 where it never was filled as far as is known;
    /// `None` where it is filled.
    pub(crate) fn emptied(&self, place: Place) -> Option<u64> {
        (!self.places.contains_key(&place)).then(|| self.least(place))
    }

    /// At which revision a place is, where it is known to hold bytes with this hash.
    pub(crate) fn revision_of(&self, place: Place, hash: Hash) -> Option<u64> {
        let known = self.places.get(&place)?;
        (known.content.hash == hash).then_some(known.revision)
    }

    /// The highest revision that the watch has told.
    pub(crate) const fn seen(&self) -> u64 {
        self.seen
    }

    /// The highest revision that is known of any place.
    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Up to `limit` keys that are due at `now`, from behind `after` on, those first that have been
    /// due the longest.
    pub(crate) fn due(
        &self,
        what: Due,
        after: Option<(Timestamp, Key)>,
        limit: usize,
        now: Timestamp,
    ) -> Vec<(Timestamp, Key)> {
        let set = match what {
            Due::Over => &self.over,
            Due::Lapsed => &self.lapsed,
        };
        let from = after.map_or(Unbounded, Excluded);
        let due = set.range((from, Unbounded)).take_while(|(since, _)| *since <= now);
        due.take(limit).copied().collect()
    }

    /// Some of the living keys of a kind from behind `after` on, up to `limit`, and the key up to
    /// which was looked; `None` where there are no more.
    pub(crate) fn living(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> (Vec<Key>, Option<Key>) {
        let from = match after {
            Some(after) => Excluded(Place::Record(after)),
            None => Included(Place::Record(Key::lowest(kind))),
        };
        let mut living = Vec::new();
        let mut last = None;
        for (place, known) in self.places.range((from, Unbounded)).take(CHUNK) {
            let Place::Record(key) = place else {
                return (living, None);
            };
            if key.kind() != kind {
                return (living, None);
            }
            if living.len() == limit {
                return (living, last);
            }
            last = Some(*key);
            if known.content.label.alive_until > now {
                living.push(*key);
            }
        }
        (living, last)
    }

    /// How many places are known to be filled.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(100);

    fn content(bytes: &[u8]) -> Option<Content> {
        Some(Content { hash: Hash::of(bytes), label: Label::default() })
    }

    fn place(name: &str) -> Place {
        Place::Record(Key::named(Kind::Session, name))
    }

    #[test]
    fn an_answer_from_before_what_was_told_is_known_as_such() {
        let (mut index, a, b) = (Index::default(), place("a"), place("b"));
        index.hear(a, 100, content(b"a"));
        assert!(index.is_ahead_of(a, None), "it is filled");
        assert!(!index.is_ahead_of(a, Some((100, true))) && index.is_ahead_of(a, Some((99, true))));
        index.hear(a, 110, None);
        // The removal itself is known no more, but the watch has passed it.
        assert!(index.is_ahead_of(a, Some((100, true))));
        assert!(!index.is_ahead_of(a, Some((110, false))) && !index.is_ahead_of(a, None));
        assert!(!index.is_ahead_of(a, Some((111, true))), "a newer one");
        assert!(!index.is_ahead_of(b, None) && !index.is_ahead_of(b, Some((120, true))));
        index.learn(b, 120, content(b"b"));
        assert!(index.is_ahead_of(b, None) && !index.is_ahead_of(b, Some((120, true))));
        assert!(index.is_ahead_of(b, Some((119, false))));
    }

    #[test]
    fn what_an_answer_has_overtaken_is_no_news() {
        let mut index = Index::default();
        index.learn(place("a"), 5, content(b"five"));
        assert_eq!(index.hear(place("a"), 3, content(b"three")), Heard::Overtaken);
        assert_eq!(index.revision_of(place("a"), Hash::of(b"five")), Some(5));
        index.learn(place("b"), 7, None);
        assert_eq!(index.hear(place("b"), 4, content(b"four")), Heard::Overtaken);
        assert_eq!(index.hear(place("a"), 5, content(b"five")), Heard::News);
        assert_eq!(index.hear(place("b"), 7, None), Heard::News);
        assert_eq!((index.least(place("a")), index.least(place("b"))), (5, 0));
    }

    #[test]
    fn an_answer_that_is_late_undoes_nothing() {
        let mut index = Index::default();
        assert_eq!(index.hear(place("a"), 4, content(b"four")), Heard::News);
        assert_eq!(index.hear(place("a"), 9, None), Heard::News);
        index.learn(place("a"), 4, content(b"four"));
        assert_eq!(index.revision_of(place("a"), Hash::of(b"four")), None);
        assert_eq!(index.len(), 0);
    }

    #[test]
    fn a_new_watch_tells_what_is_left() {
        let mut index = Index::default();
        for (at, name) in (1..).zip(["a", "b", "c"]) {
            index.hear(place(name), at, content(b"x"));
        }
        index.begin(true);
        index.hear(place("b"), 2, content(b"x"));
        index.learn(place("d"), 8, content(b"y"));
        assert_eq!(index.len(), 4);
        index.passed(6);
        index.caught_up();
        let left = ["a", "b", "c", "d"].map(|name| index.least(place(name)));
        assert_eq!(left, [0, 2, 0, 8]);
        index.begin(false);
        assert_eq!((index.len(), index.highest()), (0, 0));
    }

    #[test]
    fn what_is_due_comes_in_its_order_and_leaves_with_its_label() {
        let mut index = Index::default();
        let until = |millis| Label {
            alive_until: Timestamp::from_millis(millis),
            over_from: Timestamp::from_millis(millis),
            ..Label::default()
        };
        for (at, (name, millis)) in (1..).zip([("a", 90), ("b", 80), ("c", 110)]) {
            let content = Content { hash: Hash::of(b""), label: until(millis) };
            index.learn(place(name), at, Some(content));
        }
        let due = |index: &Index| {
            let due = index.due(Due::Over, None, 9, NOW).into_iter();
            due.map(|(_, key)| Place::Record(key)).collect::<Vec<_>>()
        };
        assert_eq!(due(&index), [place("b"), place("a")]);
        assert_eq!(index.living(Kind::Session, None, 9, NOW).0.len(), 1);
        index.learn(place("b"), 7, content(b""));
        index.learn(place("a"), 8, None);
        assert!(due(&index).is_empty());
    }
}
