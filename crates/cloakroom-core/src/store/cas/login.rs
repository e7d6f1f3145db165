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

use super::seats::{Admission, Taken, login_of};
use super::{Applied, Cas, Register};
use crate::commit::{Commit, Guard, Limit, Outcome, SignIn};
use crate::event::Ended;
use crate::record::Record;
use crate::store::{Announce, Built, Created, Error, Keep, Result};
use crate::time::Timestamp;
use crate::token::Key;

impl<R: Register> Cas<R> {
    /// Commits what signs somebody in.
    pub(super) async fn commit_login(
        &self,
        key: Key,
        commit: &Commit,
        SignIn { principal, seats }: &SignIn,
        built: Option<Built<'_>>,
        now: Timestamp,
    ) -> Result<Outcome> {
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
        let Applied { outcome: Outcome::Done { .. }, record: Some(record), former } = &applied
        else {
            self.unused(principal, &seat, now).await;
            return Ok(applied.outcome);
        };
        if record.principal.as_ref() != Some(principal) {
            // Sent again after somebody else has signed in.
            self.unused(principal, &seat, now).await;
            return Ok(applied.outcome);
        }
        if !self.settled(principal, &seat, login_of(record), now).await? {
            return Ok(Outcome::Barred);
        }
        if let Some(former) =
            former.as_ref().filter(|old| old.principal.as_ref() != Some(principal))
        {
            self.unseat(key, former).await;
        }
        Ok(applied.outcome)
    }

    /// Creates what is signed in from the beginning.
    pub(super) async fn create_login(
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
            self.unused(principal, &seat, now).await;
            return Ok(created);
        };
        if !self.settled(principal, &seat, login_of(record), now).await? {
            return Ok(Created::Barred);
        }
        let theirs = |old: &Record| {
            old.principal.as_deref() == Some(principal) && login_of(old) == login_of(record)
        };
        if let Some(former) = replaced.as_deref().filter(|old| !theirs(old)) {
            self.unseat(key, former).await;
        }
        Ok(created)
    }

    /// Confirms the seat of a login that is written, or takes the login back.
    ///
    /// Whatever fails here, the record is written: to the caller that is an answer that did not
    /// come.
    async fn settled(
        &self,
        principal: &str,
        seat: &Taken,
        login: u64,
        now: Timestamp,
    ) -> Result<bool> {
        if self.confirm(principal, seat, login).await.map_err(unanswered)? {
            return Ok(true);
        }
        self.take_back(seat.key, principal, now).await.map_err(unanswered)?;
        self.release(principal, seat).await;
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
    async fn unused(&self, principal: &str, seat: &Taken, now: Timestamp) {
        let Ok(record) = self.read(seat.key).await else {
            return;
        };
        let is_theirs = record.is_some_and(|record| {
            !record.is_over(now) && record.principal.as_deref() == Some(principal)
        });
        if !is_theirs {
            self.release(principal, seat).await;
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

fn unanswered(error: Error) -> Error {
    match error {
        Error::Unreachable(source) | Error::Refused(source) => Error::Unanswered(source),
        error => error,
    }
}
