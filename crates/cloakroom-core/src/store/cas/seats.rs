//! Taking and giving up seats in a principal's place, and finding a principal's sessions by them.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::book::{Asked, Book, Seat};
use super::{Cas, Place, ROUNDS, Register, Swapped};
use crate::record::{CommitId, Record};
use crate::store::{Directory, Error, Result};
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// How long a login may take before its seat is given up where its record does not say otherwise.
const PENDING: Duration = Duration::from_secs(30);
/// How often a full principal's seats are checked before a login is refused: each time at least
/// one was given up by the time of the next try, or all are in use.
const TRIES: usize = 3;

/// A seat that a login has taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) key: Key,
    most: Option<usize>,
    /// The last bar before this login began.
    bar: u64,
    /// What was written, unless the session had a confirmed seat before.
    pending: Seat,
    /// Sessions that are over and not swept yet: they take no seat.
    over: Vec<Key>,
}

/// Whether a login may go on.
#[derive(Debug)]
pub(super) enum Admission {
    Granted(Taken),
    Full {
        /// The sessions that hold all seats, the oldest login first.
        taken: Vec<Key>,
        /// Whether the session that asks has a seat beside them, of an earlier login.
        seated: bool,
    },
}

/// What the records say of a principal's seats.
#[derive(Debug, Default)]
struct Verified {
    /// Living sessions of the principal.
    living: Vec<(Key, Record)>,
    /// Logins under way.
    under_way: Vec<Key>,
    /// Sessions of the principal that are over and not swept yet.
    over: Vec<Key>,
    /// What this version cannot read: it may be a living session of the principal.
    unreadable: Vec<Key>,
    /// What nobody needs any more.
    abandoned: Vec<(Key, Seat)>,
}

impl<R: Register> Cas<R> {
    /// Takes a seat for a login of `principal` under `key`.
    pub(super) async fn admit(
        &self,
        principal: &str,
        key: Key,
        most: Option<usize>,
        now: Timestamp,
    ) -> Result<Admission> {
        let nonce = u64::from_be_bytes(*CommitId::random().as_bytes());
        let pending = Seat::Pending { lapse: now + PENDING, nonce };
        let mut over = Vec::new();
        let (mut taken, mut seated) = (Vec::new(), false);
        for _ in 0..TRIES {
            let ask = |book: &mut Book| (book.admit(key, pending, most, &over, now), book.clone());
            let (asked, book) = self.write(principal, ask).await?;
            if let Asked::Granted { bar } = asked {
                return Ok(Admission::Granted(Taken { key, most, bar, pending, over }));
            }
            let verified = self.verify(principal, &book, now).await?;
            self.give_up(principal, &verified.abandoned).await;
            over.clone_from(&verified.over);
            seated = verified.seats(key);
            taken = verified.taken(key);
            if most.is_some_and(|most| taken.len() >= most) {
                break;
            }
        }
        Ok(Admission::Full { taken, seated })
    }

    /// Confirms a seat whose record is written; `false` where the principal was barred meanwhile,
    /// or the seat was given up and there is none left.
    pub(super) async fn confirm(&self, principal: &str, seat: &Taken, login: u64) -> Result<bool> {
        let Taken { key, most, bar, over, .. } = seat;
        self.write(principal, |book| book.confirm(*key, login, *most, *bar, over)).await
    }

    /// Gives a seat back that its login did not use.
    pub(super) async fn release(&self, principal: &str, seat: &Taken) {
        self.give_up(principal, &[(seat.key, seat.pending)]).await;
    }

    /// Frees the seat of a session that is gone, or another's by now.
    pub(super) async fn unseat(&self, key: Key, record: &Record) {
        if let Some(principal) = &record.principal {
            self.vacate(principal, &[(key, Some(login_of(record)))]).await;
        }
    }

    /// Frees the seats of logins under way, and those of sessions that were signed in then.
    pub(super) async fn vacate(&self, principal: &str, seats: &[(Key, Option<u64>)]) {
        if seats.iter().any(|(key, _)| key.kind() == Kind::Session) {
            let vacate = |book: &mut Book| {
                for (key, login) in seats {
                    book.vacate(*key, *login);
                }
            };
            self.tidy(principal, vacate).await;
        }
    }

    async fn give_up(&self, principal: &str, seats: &[(Key, Seat)]) {
        if !seats.is_empty() {
            let give_up = |book: &mut Book| {
                for (key, seat) in seats {
                    book.give_up(*key, *seat);
                }
            };
            self.tidy(principal, give_up).await;
        }
    }

    /// Gives up seats. One that cannot be given up now is found abandoned later, so a failure is no
    /// failure of the call that it comes after.
    async fn tidy(&self, principal: &str, change: impl FnMut(&mut Book) + Send) {
        if let Err(error) = self.write(principal, change).await {
            tracing::debug!(%error, "seats stay taken until the next login checks them");
        }
    }

    /// Changes what is known of a principal, for as long as somebody comes between.
    async fn write<T: Send>(
        &self,
        principal: &str,
        mut change: impl FnMut(&mut Book) -> T + Send,
    ) -> Result<T> {
        let place = Place::of_principal(principal);
        let mut held = self.register.get(place).await?;
        for _ in 0..ROUNDS {
            let before = match &held {
                Some(held) => Book::read(&held.bytes).ok_or_else(unreadable)?,
                None => Book::default(),
            };
            let mut after = before.clone();
            let answer = change(&mut after);
            if after == before {
                return Ok(answer);
            }
            match self.register.swap(place, held.as_ref(), after.put().as_ref()).await? {
                Swapped::Done => return Ok(answer),
                Swapped::Found(found) => held = found,
            }
        }
        Err(Error::Refused("others kept changing the same user's sessions".into()))
    }

    /// Holds each seat against its record. A record that cannot be read keeps its seat, and does
    /// not stand in the way of the others.
    async fn verify(&self, principal: &str, book: &Book, now: Timestamp) -> Result<Verified> {
        let records = join_all(book.seats.keys().map(|key| self.read(*key))).await;
        let mut verified = Verified::default();
        for ((key, seat), record) in book.seats.iter().zip(records) {
            match record {
                Ok(record) => {
                    let theirs = |record: &Record| record.principal.as_deref() == Some(principal);
                    verified.add(*key, *seat, record.filter(theirs), now);
                }
                Err(Error::Unreadable { .. }) => {
                    tracing::warn!(%key, "a session cannot be read, and stays off its user's list");
                    verified.unreadable.push(*key);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(verified)
    }
}

impl Verified {
    fn add(&mut self, key: Key, seat: Seat, record: Option<Record>, now: Timestamp) {
        let under_way = matches!(seat, Seat::Pending { lapse, .. } if now < lapse);
        match record {
            Some(record) if !record.is_over(now) => self.living.push((key, record)),
            _ if under_way => self.under_way.push(key),
            // It may only be this node's clock that is ahead: the seat stays.
            Some(_) => self.over.push(key),
            None => self.abandoned.push((key, seat)),
        }
    }

    /// Whether the principal's session or login under `key` has a seat that stays.
    fn seats(&self, key: Key) -> bool {
        let living = self.living.iter().map(|(living, _)| living);
        living.chain(&self.under_way).chain(&self.unreadable).any(|seated| *seated == key)
    }

    /// The sessions but `own` that hold seats: the oldest login first, then those under way, and
    /// last what cannot be read, and so cannot be ended.
    fn taken(self, own: Key) -> Vec<Key> {
        let living = sorted(self.living).into_iter().map(|(key, _)| key);
        let others = self.under_way.into_iter().chain(self.unreadable);
        living.chain(others).filter(|key| *key != own).collect()
    }
}

/// The oldest login first.
fn sorted(mut sessions: Vec<(Key, Record)>) -> Vec<(Key, Record)> {
    sessions.sort_by_key(|(key, record)| (record.authenticated_at, *key));
    sessions
}

/// Since when a record's principal is signed in, as its seat has it.
pub(super) fn login_of(record: &Record) -> u64 {
    record.authenticated_at.map_or(0, Timestamp::millis)
}

fn unreadable() -> Error {
    Error::Refused("a user's list of sessions cannot be read: a newer version wrote it".into())
}

#[async_trait]
impl<R: Register> Directory for Cas<R> {
    async fn of_principal(&self, principal: &str, now: Timestamp) -> Result<Vec<(Key, Record)>> {
        let Some(held) = self.register.get(Place::of_principal(principal)).await? else {
            return Ok(Vec::new());
        };
        let book = Book::read(&held.bytes).ok_or_else(unreadable)?;
        let verified = self.verify(principal, &book, now).await?;
        self.give_up(principal, &verified.abandoned).await;
        Ok(sorted(verified.living))
    }

    async fn bar(&self, principal: &str, _now: Timestamp) -> Result<()> {
        let id = u64::from_be_bytes(*CommitId::random().as_bytes());
        self.write(principal, |book| book.bar(id)).await
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        self.register.page(kind, after, limit, now).await
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        self.register.count(kind, now).await
    }
}
