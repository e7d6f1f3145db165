//! One swap of a place at a time, on this node: who waits in line learns from the one before what
//! is there, and needs not ask in vain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloakroom_core::store::{Held, Place};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// The lines before places that somebody is about to change.
#[derive(Default, Debug)]
pub(crate) struct Lines {
    lines: Mutex<HashMap<Place, Line>>,
}

/// Those who wait to change one place.
#[derive(Default, Debug)]
struct Line {
    /// How many have come.
    came: u64,
    /// How many are here.
    here: usize,
    turn: Arc<Turn<Option<News>>>,
}

/// What somebody has learnt of a place.
#[derive(Debug)]
struct News {
    /// How many had come when it was asked for. To those it is news; who came later may know
    /// better.
    for_those: u64,
    there: Option<Held>,
}

/// Somebody in line. Leaves it when dropped.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    lines: &'a Lines,
    place: Place,
    number: u64,
    turn: Arc<Turn<Option<News>>>,
}

/// Somebody whose turn it is.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    waiting: Waiting<'a>,
    news: OwnedMutexGuard<Option<News>>,
}

impl Lines {
    /// Gets in line.
    pub(crate) fn join(&self, place: Place) -> Waiting<'_> {
        let mut lines = self.lock();
        let line = lines.entry(place).or_default();
        line.came += 1;
        line.here += 1;
        Waiting { lines: self, place, number: line.came, turn: Arc::clone(&line.turn) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Waiting<'a> {
    /// Waits for its turn.
    pub(crate) async fn turn(self) -> Head<'a> {
        let news = Arc::clone(&self.turn).lock_owned().await;
        Head { waiting: self, news }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get_mut(&self.place) {
            line.here -= 1;
            if line.here == 0 {
                lines.remove(&self.place);
            }
        }
    }
}

impl Head<'_> {
    /// What is there, where somebody has asked the server since this one got in line.
    pub(crate) fn news(&self) -> Option<&Option<Held>> {
        let news = self.news.as_ref().filter(|news| self.waiting.number <= news.for_those)?;
        Some(&news.there)
    }

    /// Is about to ask the server: what was known is forgotten. Returns what the answer is noted
    /// with.
    pub(crate) fn ask(&mut self) -> u64 {
        *self.news = None;
        self.waiting.lines.lock().get(&self.waiting.place).map_or(0, |line| line.came)
    }

    /// Has learnt what is there.
    pub(crate) fn tell(&mut self, for_those: u64, there: Option<Held>) {
        *self.news = Some(News { for_those, there });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cloakroom_core::{Key, Kind};

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test);
    }

    #[test]
    fn who_waits_hears_what_was_asked_since_and_nothing_older() {
        run(async {
            let (lines, place) = (Lines::default(), Place::Record(Key::random(Kind::Session)));
            let there = Some(Held { bytes: Bytes::from_static(b"there"), revision: Some(1) });
            let mut first = lines.join(place).turn().await;
            assert_eq!(first.news(), None);
            let second = lines.join(place);
            let asked = first.ask();
            let third = lines.join(place);
            first.tell(asked, there.clone());
            drop(first);
            let second = second.turn().await;
            assert_eq!(second.news(), Some(&there));
            drop(second);
            // It came after the server was asked, and may know better.
            let mut third = third.turn().await;
            assert_eq!(third.news(), None);
            let fourth = lines.join(place);
            third.ask();
            drop(third);
            // It was asked, and nobody knows the answer.
            assert_eq!(fourth.turn().await.news(), None);
            assert!(lines.lock().is_empty());
        });
    }

    #[test]
    fn who_hangs_up_holds_up_nobody() {
        run(async {
            let (lines, place) = (Lines::default(), Place::of_principal("alice"));
            let first = lines.join(place).turn().await;
            let (gone, next) = (lines.join(place), lines.join(place));
            drop(gone);
            drop(first);
            drop(next.turn().await);
            assert!(lines.lock().is_empty());
        });
    }
}
