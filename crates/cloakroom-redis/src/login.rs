//! Signing in: a seat, the record, the confirmation, in that order, so that a principal never has
//! more sessions than allowed and no session of theirs is without a seat.
//!
//! What a crash or a dropped future leaves between two steps:
//! - before the record: a pending seat without a record; it lapses.
//! - after the record: a pending seat with a record of this principal; it counts, is listed and
//!   is ended like a confirmed one.
//!
//! A bar between the seat and the confirmation makes the confirmation fail, and so does a seat that
//! was given to another meanwhile. What was written is taken back then, and the login is barred.
//! The bar's caller may have found and ended it before: either way nothing is left of it.

use cloakroom_core::commit::{Limit, SignIn};
use cloakroom_core::event::Ended;
use cloakroom_core::store::{Announce, Built, Created, Error, Keep, Result};
use cloakroom_core::{Commit, Guard, Key, Kind, Outcome, Record, Timestamp};

use crate::commit::Signed;
use crate::seats::{Admission, Seat};
use crate::store::RedisStore;

impl RedisStore {
    /// Commits what signs somebody in.
    pub(crate) async fn commit_login(
        &self,
        key: Key,
        commit: &Commit,
        sign_in: &SignIn,
        built: Option<Built<'_>>,
        now: Timestamp,
    ) -> Result<Outcome> {
        let SignIn { principal, seats } = sign_in;
        let seat = match self.admit(principal, key, *seats, now).await? {
            Admission::Granted(seat) => seat,
            Admission::Full { taken, seated } => {
                let outcome = self.without_seat(key, commit, taken, now).await?;
                let earlier = matches!(outcome, Outcome::Done { .. }) && !seated;
                return match earlier && self.take_back(key, principal, now).await? {
                    // An earlier send was written, and its seat was lost before it was confirmed.
                    true => Ok(Outcome::Barred),
                    false => Ok(outcome),
                };
            }
        };
        let applied = self.apply(key, commit, built, now).await?;
        let Some(Signed { login, former }) = applied.signed else {
            self.unused(&seat, key, principal, now).await;
            return Ok(applied.outcome);
        };
        if !self.settled(&seat, key, principal, login, now).await? {
            return Ok(Outcome::Barred);
        }
        if let Some((former, since)) = former {
            self.unseat(&[(former, key, since)]).await;
        }
        Ok(applied.outcome)
    }

    /// Creates what is signed in from the beginning.
    pub(crate) async fn create_login(
        &self,
        key: Key,
        record: &Record,
        principal: &str,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        let seat = match self.admit(principal, key, seats, now).await? {
            Admission::Granted(seat) => seat,
            Admission::Full { taken, seated } => {
                let Some(old) = self.read(key).await?.filter(|old| !old.is_over(now)) else {
                    return Ok(Created::Refused(Limit::Seats { taken }));
                };
                let earlier = old.proof.is_some() && old.proof == record.proof && !seated;
                return match earlier && self.take_back(key, principal, now).await? {
                    // As with a commit: written by an earlier send, and without a seat.
                    true => Ok(Created::Barred),
                    false => Ok(Created::Exists),
                };
            }
        };
        let created = self.insert(key, record, now).await?;
        let Created::Done { replaced } = &created else {
            self.unused(&seat, key, principal, now).await;
            return Ok(created);
        };
        let login = login_of(record);
        if !self.settled(&seat, key, principal, login, now).await? {
            return Ok(Created::Barred);
        }
        if let Some(former) = replaced.as_deref().and_then(|old| seat_of(key, old))
            && (former.0 != principal || former.2 != login)
        {
            self.unseat(&[former]).await;
        }
        Ok(created)
    }

    /// Confirms the seat of a login that is written, or takes the login back.
    ///
    /// Whatever fails here, the record is written: to the caller that is an answer that did not
    /// come.
    async fn settled(
        &self,
        seat: &Seat,
        key: Key,
        principal: &str,
        login: u64,
        now: Timestamp,
    ) -> Result<bool> {
        if self.confirm(seat, login).await.map_err(unanswered)? {
            return Ok(true);
        }
        self.take_back(key, principal, now).await.map_err(unanswered)?;
        self.release(seat).await;
        Ok(false)
    }

    /// Removes what a login has written, where it still stands.
    async fn take_back(&self, key: Key, principal: &str, now: Timestamp) -> Result<bool> {
        let guard = Guard::Principal(principal.to_owned());
        let announce = Announce { reason: Ended::Revoked, keep: Keep::Nothing };
        let removed = self.remove(key, &guard, announce, now).await?;
        Ok(removed.is_some())
    }

    /// Gives back the seat of a login that was not written, unless an earlier send of it was: then
    /// the seat is that one's.
    async fn unused(&self, seat: &Seat, key: Key, principal: &str, now: Timestamp) {
        let Ok(record) = self.read(key).await else {
            return;
        };
        let is_theirs = record.is_some_and(|record| {
            !record.is_over(now) && record.principal.as_deref() == Some(principal)
        });
        if !is_theirs {
            self.release(seat).await;
        }
    }

    /// What becomes of a commit whose sign-in finds no seat: what the record says, and the limit
    /// only where that would have let it pass.
    async fn without_seat(
        &self,
        key: Key,
        commit: &Commit,
        taken: Vec<Key>,
        now: Timestamp,
    ) -> Result<Outcome> {
        let Some(record) = self.read(key).await? else {
            return Ok(Outcome::Gone);
        };
        Ok(match record.apply(commit, now) {
            (_, Some(_)) => Outcome::Refused(Limit::Seats { taken }),
            (outcome, None) => outcome,
        })
    }
}

/// The seat that a record has: whose, under which key, since when. Only sessions have seats.
pub(crate) fn seat_of(key: Key, record: &Record) -> Option<(String, Key, u64)> {
    let principal = record.principal.clone().filter(|_| key.kind() == Kind::Session)?;
    Some((principal, key, login_of(record)))
}

/// Since when a record's principal is signed in, as its seat has it.
pub(crate) fn login_of(record: &Record) -> u64 {
    record.authenticated_at.map_or(0, Timestamp::millis)
}

fn unanswered(error: Error) -> Error {
    match error {
        Error::Unreachable(source) | Error::Refused(source) => Error::Unanswered(source),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloakroom_core::policy::{Seats, WhenFull};
    use cloakroom_core::store::Directory;
    use cloakroom_core::time::SystemClock;
    use cloakroom_core::{Client, Clock, Policy, Reply, Sessions, Store};
    use cloakroom_testkit::TokioTimer;
    use cloakroom_testkit::samples::{
        Doing, START, administer, after, key, session, session_of, visit,
    };
    use cloakroom_testkit::servers::Redis;

    use super::*;
    use crate::Options;

    async fn start() -> (Redis, RedisStore) {
        let server = Redis::start().await;
        let store = RedisStore::connect(&server.url(), Options::default()).await;
        (server, store.unwrap())
    }

    async fn admitted(store: &RedisStore, key: Key, now: Timestamp) -> Seat {
        match store.admit("alice", key, Some(1), now).await.unwrap() {
            Admission::Granted(seat) => seat,
            Admission::Full { .. } => panic!("there is a seat"),
        }
    }

    #[tokio::test]
    async fn a_login_overtaken_by_a_bar_is_taken_back() {
        let (_server, store) = start().await;
        let (key, record) = (key(), session_of("alice", START));
        let seat = admitted(&store, key, START).await;
        store.bar("alice", START).await.unwrap();
        assert_eq!(store.of_principal("alice", START).await.unwrap(), []);
        let _ = store.insert(key, &record, START).await.unwrap();
        let settled = store.settled(&seat, key, "alice", START.millis(), START).await;
        assert!(!settled.unwrap());
        assert_eq!(store.load(key, START).await.unwrap(), None);
        // The next login is after the bar, and finds the seat free.
        let again = store.create(cloakroom_testkit::samples::key(), &record, Some(1), START).await;
        assert_eq!(again.unwrap(), Created::Done { replaced: None });
    }

    #[tokio::test]
    async fn what_a_login_wrote_before_the_bar_is_listed() {
        let (_server, store) = start().await;
        let (key, record) = (key(), session_of("alice", START));
        let seat = admitted(&store, key, START).await;
        let _ = store.insert(key, &record, START).await.unwrap();
        store.bar("alice", START).await.unwrap();
        let listed = store.of_principal("alice", START).await.unwrap();
        assert_eq!(listed, [(key, record)]);
        assert!(!store.confirm(&seat, START.millis()).await.unwrap());
    }

    #[tokio::test]
    async fn a_slow_login_finds_its_seat_taken() {
        let (_server, store) = start().await;
        let (slow, quick) = (key(), key());
        let seat = admitted(&store, slow, START).await;
        let later = after(31);
        let record = session_of("alice", later);
        let created = store.create(quick, &record, Some(1), later).await.unwrap();
        assert_eq!(created, Created::Done { replaced: None });
        let _ = store.insert(slow, &record, later).await.unwrap();
        let settled = store.settled(&seat, slow, "alice", later.millis(), later).await;
        assert!(!settled.unwrap());
        let listed = store.of_principal("alice", later).await.unwrap();
        assert_eq!(listed, [(quick, record)]);
        assert_eq!(store.load(slow, later).await.unwrap(), None);
    }

    const NOBODY: Announce = Announce { reason: Ended::Revoked, keep: Keep::Nothing };

    /// Ends what alice has under `key`; whether that was a session.
    async fn ended(store: &RedisStore, key: Key) -> bool {
        let alice = Guard::Principal("alice".to_owned());
        store.end(key, &alice, NOBODY, START).await.unwrap().is_some()
    }

    async fn created(store: &RedisStore, key: Key, record: &Record) -> Created {
        store.create(key, record, Some(1), START).await.unwrap()
    }

    #[tokio::test]
    async fn an_ending_displaces_a_login_under_way() {
        let (_server, store) = start().await;
        let record = session_of("alice", START);
        for anonymous in [None, Some(session(START))] {
            let (slow, quick) = (key(), key());
            if let Some(anonymous) = &anonymous {
                let _ = store.insert(slow, anonymous, START).await.unwrap();
            }
            let seat = admitted(&store, slow, START).await;
            let full = Created::Refused(Limit::Seats { taken: vec![slow] });
            assert_eq!(created(&store, quick, &record).await, full);
            let bob = Guard::Principal("bob".to_owned());
            assert_eq!(store.end(slow, &bob, NOBODY, START).await.unwrap(), None);
            assert_eq!(created(&store, quick, &record).await, full, "bob has no seat there");

            assert!(!ended(&store, slow).await);
            assert_eq!(store.load(slow, START).await.unwrap(), anonymous, "it is not alice's");
            let done = Created::Done { replaced: None };
            assert_eq!(created(&store, quick, &record).await, done);
            let login = administer().signing_in("alice", Some(1));
            match anonymous {
                Some(_) => drop(store.apply(slow, &login, None, START).await.unwrap()),
                None => drop(store.insert(slow, &record, START).await.unwrap()),
            }
            let settled = store.settled(&seat, slow, "alice", START.millis(), START).await;
            assert!(!settled.unwrap());
            assert_eq!(store.load(slow, START).await.unwrap(), None);
            assert!(ended(&store, quick).await);
        }
    }

    #[tokio::test]
    async fn an_ending_frees_the_seat_of_a_login_that_was_not_confirmed() {
        let (_server, store) = start().await;
        let (dropped, record) = (key(), session_of("alice", START));
        admitted(&store, dropped, START).await;
        let _ = store.insert(dropped, &record, START).await.unwrap();
        assert!(ended(&store, dropped).await);
        let next = created(&store, key(), &record).await;
        assert_eq!(next, Created::Done { replaced: None });
    }

    #[tokio::test]
    async fn a_login_sent_again_without_its_seat_is_taken_back() {
        let (_server, store) = start().await;
        let record = session_of("alice", START);
        assert_eq!(created(&store, key(), &record).await, Created::Done { replaced: None });
        // What the first sends wrote before their seats were given to another.
        let (new, old) = (key(), key());
        let (login, visitor) = (session_of("alice", START), session(START));
        let _ = store.insert(new, &login, START).await.unwrap();
        let _ = store.insert(old, &visitor, START).await.unwrap();
        let commit = visit(&visitor).set("a", "1").signing_in("alice", Some(1));
        let _ = store.apply(old, &commit, None, START).await.unwrap();

        assert_eq!(created(&store, new, &record).await, Created::Exists, "another's record");
        assert_eq!(created(&store, new, &login).await, Created::Barred);
        assert_eq!(store.commit(old, &commit, START).await.unwrap(), Outcome::Barred);
        for key in [new, old] {
            assert_eq!(store.load(key, START).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_dropped_login_does_not_lock_its_user_out() {
        let (_server, store) = start().await;
        let store = Arc::new(store);
        admitted(&store, key(), Clock::now(&SystemClock)).await;
        let seats = Some(Seats { most: 1, when_full: WhenFull::EndOldest });
        let policy = Policy { seats, ..Policy::default() };
        let sessions = Sessions::builder(Arc::clone(&store), TokioTimer).policy(policy);
        let sessions = sessions.build().unwrap();
        let session = sessions.open(&[], Client::default()).await.unwrap();
        session.log_in("alice").unwrap();
        let reply = sessions.finish(&session).await.unwrap();
        assert!(matches!(reply, Some(Reply::Send { .. })), "{reply:?}");
    }
}
