//! A principal's seats as data: who may sign in, and which sessions are theirs.
//!
//! A seat is pending from before its session's record says who is signed in until after it, and
//! confirmed from then on.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};

use super::envelope::{self, Label};
use super::register::Put;
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// For how long a bar is remembered where its principal has no session left: longer than any login
/// is under way.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
const PENDING: u8 = b'p';
const CONFIRMED: u8 = b'c';

/// What is known of a principal's sessions. The sessions themselves say who is signed in: a seat
/// whose record says something else counts for nothing.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Book {
    pub(super) seats: BTreeMap<Key, Seat>,
    /// The last bar; 0: none that anybody has to know of.
    bar: u64,
}

/// One session's seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seat {
    /// A login is under way, until then.
    Pending { lapse: Timestamp, nonce: u64 },
    /// The record says so, since then.
    Confirmed { login: u64 },
}

/// What becomes of a login that asks for a seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// It may go on, under the last bar.
    Granted { bar: u64 },
    /// All seats are taken.
    Full,
}

impl Book {
    /// Takes a seat for a login under `key`. A session that has its seat keeps it as it is until
    /// its new login is written. Sessions that are `over` take none. Logins that nobody has finished
    /// for long are forgotten; one that comes back from there finds its way at its confirmation.
    pub(super) fn admit(
        &mut self,
        key: Key,
        pending: Seat,
        most: Option<usize>,
        over: &[Key],
        now: Timestamp,
    ) -> Asked {
        self.seats.retain(|_, seat| match seat {
            Seat::Pending { lapse, .. } => now < *lapse + REMEMBERED,
            Seat::Confirmed { .. } => true,
        });
        if self.is_full(key, most, over) {
            return Asked::Full;
        }
        if !matches!(self.seats.get(&key), Some(Seat::Confirmed { .. })) {
            self.seats.insert(key, pending);
        }
        Asked::Granted { bar: self.bar }
    }

    /// Confirms the seat of a login that is written; `false` where the principal was barred since
    /// it began, or its seat was given up meanwhile and none is left.
    pub(super) fn confirm(
        &mut self,
        key: Key,
        login: u64,
        most: Option<usize>,
        bar: u64,
        over: &[Key],
    ) -> bool {
        let lost = !self.seats.contains_key(&key) && self.is_full(key, most, over);
        if self.bar != bar || lost {
            return false;
        }
        self.seats.insert(key, Seat::Confirmed { login });
        true
    }

    fn is_full(&self, key: Key, most: Option<usize>, over: &[Key]) -> bool {
        let others = self.seats.keys().filter(|seated| **seated != key && !over.contains(seated));
        most.is_some_and(|most| others.count() >= most)
    }

    /// Makes every login fail that has begun and is not confirmed.
    pub(super) fn bar(&mut self, id: u64) {
        self.bar = id;
    }

    /// Gives a seat up where it still is as the caller has seen it.
    pub(super) fn give_up(&mut self, key: Key, seat: Seat) {
        if self.seats.get(&key) == Some(&seat) {
            self.seats.remove(&key);
        }
    }

    /// Frees the seat of a login under way, and that of a session that was signed in at `login`.
    pub(super) fn vacate(&mut self, key: Key, login: Option<u64>) {
        let free = match self.seats.get(&key) {
            Some(Seat::Pending { .. }) => true,
            Some(Seat::Confirmed { login: since }) => login == Some(*since),
            None => false,
        };
        if free {
            self.seats.remove(&key);
        }
    }

    /// Reads what is kept of a principal. What is no seat of this version's is left out.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (_, mut content) = envelope::split(bytes)?;
        let mut book = Self { bar: content.try_get_u64().ok()?, ..Self::default() };
        while !content.is_empty() {
            let (id, rest) =
                content.split_at_checked(Key::lowest(Kind::Session).as_bytes().len())?;
            content = rest;
            let (what, number) = (content.try_get_u8().ok()?, content.try_get_u64().ok()?);
            let seat = match what {
                PENDING => {
                    let nonce = content.try_get_u64().ok()?;
                    Seat::Pending { lapse: Timestamp::from_millis(number), nonce }
                }
                CONFIRMED => Seat::Confirmed { login: number },
                _ => return None,
            };
            book.seats.insert(Key::from_bytes(Kind::Session, id)?, seat);
        }
        Some(book)
    }

    /// What to keep; `None` where that is nothing.
    pub(super) fn put(&self) -> Option<Put> {
        if self.seats.is_empty() && self.bar == 0 {
            return None;
        }
        let mut out = BytesMut::new();
        Label::default().write(&mut out);
        out.put_u64(self.bar);
        for (key, seat) in &self.seats {
            out.extend_from_slice(key.as_bytes());
            match seat {
                Seat::Pending { lapse, nonce } => {
                    out.put_u8(PENDING);
                    out.put_u64(lapse.millis());
                    out.put_u64(*nonce);
                }
                Seat::Confirmed { login } => {
                    out.put_u8(CONFIRMED);
                    out.put_u64(*login);
                }
            }
        }
        let forget_after = self.seats.is_empty().then_some(REMEMBERED);
        Some(Put { bytes: out.freeze(), forget_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const UNDER_WAY: Seat = Seat::Pending { lapse: Timestamp::MAX, nonce: 7 };

    fn key() -> Key {
        Key::random(Kind::Session)
    }

    #[test]
    fn a_book_reads_back_as_itself_and_cut_bytes_do_not() {
        let mut book = Book::default();
        assert!(book.put().is_none());
        book.bar(9);
        assert_eq!(book.put().unwrap().forget_after, Some(REMEMBERED));
        book.admit(key(), UNDER_WAY, None, &[], NOW);
        book.seats.insert(key(), Seat::Confirmed { login: 5 });
        let put = book.put().unwrap();
        assert_eq!((Book::read(&put.bytes).as_ref(), put.forget_after), (Some(&book), None));
        for cut in 0..put.bytes.len() {
            assert_ne!(Book::read(&put.bytes[..cut]).as_ref(), Some(&book), "cut at {cut}");
        }
    }

    #[test]
    fn a_login_that_nobody_finishes_is_forgotten_in_the_end() {
        let (mut book, dropped) = (Book::default(), key());
        book.admit(dropped, Seat::Pending { lapse: NOW, nonce: 1 }, None, &[], NOW);
        book.admit(key(), UNDER_WAY, None, &[], NOW);
        assert!(book.seats.contains_key(&dropped));
        book.admit(key(), UNDER_WAY, None, &[], NOW + REMEMBERED);
        assert!(!book.seats.contains_key(&dropped) && book.seats.len() == 2);
    }

    #[test]
    fn a_bar_fails_what_has_begun() {
        let (mut book, key) = (Book::default(), key());
        let Asked::Granted { bar } = book.admit(key, UNDER_WAY, Some(1), &[], NOW) else {
            panic!("there is a seat");
        };
        book.bar(3);
        assert!(!book.confirm(key, 1, Some(1), bar, &[]));
        assert!(book.confirm(key, 1, Some(1), 3, &[]), "a login after the bar");
    }

    #[test]
    fn a_seat_that_was_given_up_counts_again() {
        let (mut book, slow, quick) = (Book::default(), key(), key());
        assert_eq!(book.admit(slow, UNDER_WAY, Some(1), &[], NOW), Asked::Granted { bar: 0 });
        assert_eq!(book.admit(quick, UNDER_WAY, Some(1), &[], NOW), Asked::Full);
        book.give_up(slow, Seat::Confirmed { login: 1 });
        assert_eq!(
            book.admit(quick, UNDER_WAY, Some(1), &[], NOW),
            Asked::Full,
            "it was another seat"
        );
        book.give_up(slow, UNDER_WAY);
        assert_eq!(book.admit(quick, UNDER_WAY, Some(1), &[], NOW), Asked::Granted { bar: 0 });
        assert!(!book.confirm(slow, 1, Some(1), 0, &[]));
        assert!(book.confirm(slow, 1, Some(1), 0, &[quick]), "who is over takes none");
    }

    #[test]
    fn an_ending_frees_the_seat_it_knows() {
        let (mut book, key) = (Book::default(), key());
        book.seats.insert(key, Seat::Confirmed { login: 5 });
        for other in [None, Some(4)] {
            book.vacate(key, other);
            assert_eq!(book.seats.len(), 1);
        }
        book.vacate(key, Some(5));
        assert!(book.seats.is_empty());
        book.seats.insert(key, UNDER_WAY);
        book.vacate(key, None);
        assert!(book.seats.is_empty());
    }
}
