//! Carrying a request's edits to the store, step by step, until they are applied or cannot be.

use std::sync::Arc;

use async_lock::MutexGuard;
use bytes::Bytes;

use super::Sessions;
use crate::commit::{Change, Commit, Guard, Limit, Outcome, Rotation};
use crate::error::{Error, Result};
use crate::event::{Ended, Ending, Event};
use crate::policy::{Seats, WhenFull};
use crate::record::Record;
use crate::session::view::{Base, Step, Stored, View};
use crate::session::{Reply, Session};
use crate::store::Created;
use crate::time::{Timestamp, within};
use crate::token::{Key, Proof, Token};

/// One attribute's change, computed for every try from the value that it finds.
pub(crate) type Computed<'a> = (&'a str, &'a mut Compute<'a>);
type Compute<'a> = dyn FnMut(Option<&Bytes>) -> Result<Bytes> + Send + 'a;

/// How many tries' back-off a login waits for another one that holds a seat.
const LOGIN_UNDER_WAY: u32 = 4;

/// What one step came to.
enum Progress {
    /// That is the outcome.
    Finished(Outcome),
    /// The view has changed: plan again.
    Again,
    /// Another writer came first: plan again, in the queue.
    Conflict,
}

/// A writer's place at the head of a queue, with the newest record that the one before has seen.
type Turn<'a> = MutexGuard<'a, Option<(Key, Record)>>;

impl Sessions {
    /// Commits what `session` has edited, and `computed` on top. Whatever comes of it, the edits
    /// are done with.
    pub(crate) async fn drive(
        &self,
        session: &Session,
        computed: Option<Computed<'_>>,
    ) -> Result<Outcome> {
        let _one_commit_at_a_time = session.inner.gate.lock().await;
        let work = self.drive_on(session, computed);
        let driven = within(&*self.inner.timer, self.policy().deadline, work).await;
        let outcome = driven.unwrap_or(Err(Error::DeadlinePassed));
        match &outcome {
            Ok(Outcome::Done { .. }) => {}
            Ok(Outcome::Gone) => session.drop_edits(Some(Base::Over)),
            Ok(Outcome::Refused(_) | Outcome::Conflict(_)) => session.drop_edits(None),
            Err(Error::Store(_) | Error::OutcomeUnknown | Error::DeadlinePassed) => {
                session.drop_edits(None);
                session.seal();
            }
            Err(_) => session.drop_edits(None),
        }
        outcome
    }

    async fn drive_on(
        &self,
        session: &Session,
        mut computed: Option<Computed<'_>>,
    ) -> Result<Outcome> {
        let mut turn: Option<Turn<'_>> = None;
        let mut conflicts = 0;
        loop {
            let (view, now) = (session.view(), self.now());
            let extra = computed.as_mut().map(|(name, compute)| compute_on(&view, name, compute));
            let step = view.plan(self.policy(), now, extra.transpose()?)?;
            let pass = Pass { sessions: self, session, view, now };
            match pass.take(step).await? {
                Progress::Finished(outcome) => {
                    leave(turn, session);
                    return Ok(outcome);
                }
                Progress::Again => {}
                Progress::Conflict => {
                    conflicts += 1;
                    self.wait_for_turn(session, &mut turn, conflicts).await?;
                }
            }
        }
    }

    /// Waits until no other writer of this node is at this key, and a moment longer where writers
    /// of other nodes are.
    async fn wait_for_turn<'a>(
        &'a self,
        session: &Session,
        turn: &mut Option<Turn<'a>>,
        conflicts: u32,
    ) -> Result<()> {
        if turn.is_some() {
            self.back_off(conflicts).await;
            return Ok(());
        }
        let view = session.view();
        let Some(Stored { key, opened_under, record }) = view.stored() else {
            return Ok(());
        };
        let number = usize::from(key.as_bytes()[0]) % self.inner.queues.len();
        let mut head = self.inner.queues[number].lock().await;
        let newer = head.take().filter(|(of, newest)| of == key && newest.version > record.version);
        *turn = Some(head);
        match newer {
            Some((key, newest)) => session.rebase(&stored(key, *opened_under, newest), 0),
            None => Ok(()),
        }
    }
}

/// One try: a view, when it was taken, and the step that it planned.
struct Pass<'a> {
    sessions: &'a Sessions,
    session: &'a Session,
    view: View,
    now: Timestamp,
}

impl Pass<'_> {
    async fn take(&self, step: Step) -> Result<Progress> {
        let (sessions, now) = (self.sessions, self.now);
        match step {
            Step::Nothing => {
                let version = self.view.record().map_or(0, |record| record.version);
                Ok(Progress::Finished(Outcome::Done { version }))
            }
            Step::Create { key, token, record, seats } => {
                let created = sessions.send_creation(key, &record, seats, now).await?;
                self.created(key, token, *record, created).await
            }
            Step::Commit { key, token, mut commit } => {
                let base = self.view.record();
                let outcome = sessions.send_commit(key, &mut commit, base, now).await?;
                self.committed(key, token, &commit, outcome).await
            }
            Step::End { key, guard, reason } => self.end(key, &guard, reason).await,
        }
    }

    async fn created(
        &self,
        key: Key,
        token: Option<Token>,
        record: Record,
        created: Created,
    ) -> Result<Progress> {
        match created {
            Created::Done { .. } => {
                let (version, opened_under) = (record.version, token.as_ref().map(Token::proof));
                if token.is_some() {
                    self.sessions.tell(&Event::Created { key });
                }
                if let Some(principal) = record.principal.clone() {
                    self.sessions.tell(&Event::LoggedIn { key, principal });
                }
                self.hand_out(token, record.ends_at);
                let base = stored(key, opened_under, record);
                self.session.rebase(&base, self.view.edits.last())?;
                Ok(Progress::Finished(Outcome::Done { version }))
            }
            // Only a record found by name can be there already: another node has made it.
            Created::Exists => {
                let record = self.sessions.load(key, self.now).await?;
                let base = record.map_or(Base::Nothing, |record| stored(key, None, record));
                self.session.rebase(&base, 0)?;
                Ok(Progress::Conflict)
            }
            Created::Gone => Ok(Progress::Finished(Outcome::Gone)),
            Created::Refused(limit) => self.make_room(limit).await,
        }
    }

    async fn committed(
        &self,
        key: Key,
        token: Option<Token>,
        commit: &Commit,
        outcome: Outcome,
    ) -> Result<Progress> {
        match outcome {
            Outcome::Done { version } => {
                let before = self.view.record().ok_or(Error::OutcomeUnknown)?;
                let record = absorb(before, commit, version, self.now);
                let opened_under = match commit.rotation {
                    Some(Rotation::Replace { proof, .. }) => Some(proof),
                    _ => commit.opened_under,
                };
                self.tell_of(key, commit, version);
                self.hand_out(token, record.ends_at);
                let base = stored(key, opened_under, record);
                self.session.rebase(&base, self.view.edits.last())?;
                Ok(Progress::Finished(Outcome::Done { version }))
            }
            Outcome::Conflict(record) => {
                self.session.rebase(&stored(key, commit.opened_under, *record), 0)?;
                Ok(Progress::Conflict)
            }
            Outcome::Gone if commit.sign_in.is_some() => {
                self.session.rebase(&Base::Nothing, 0)?;
                Ok(Progress::Again)
            }
            Outcome::Gone => Ok(Progress::Finished(Outcome::Gone)),
            Outcome::Refused(limit) => self.make_room(limit).await,
        }
    }

    /// Where the seats are taken and the policy says so, ends the session of the oldest login.
    async fn make_room(&self, limit: Limit) -> Result<Progress> {
        let sessions = self.sessions;
        let when_full = sessions.policy().seats.map(|Seats { when_full, .. }| when_full);
        let oldest = match &limit {
            Limit::Seats { taken } if when_full == Some(WhenFull::EndOldest) => taken.first(),
            _ => None,
        };
        let (Some(oldest), Some(login)) = (oldest, self.view.edits.login()) else {
            return Ok(Progress::Finished(Outcome::Refused(limit)));
        };
        let guard = Guard::Principal(login.principal.clone());
        let ended = sessions.end_one(*oldest, &guard, Ended::Displaced).await?;
        if ended.is_none() {
            // Another login is at this seat: it leaves it or takes it in a moment.
            sessions.back_off(LOGIN_UNDER_WAY).await;
        }
        Ok(Progress::Again)
    }

    async fn end(&self, key: Key, guard: &Guard, reason: Ended) -> Result<Progress> {
        let (ended, was_there) = self.sessions.send_ending(key, guard, reason).await?;
        let replaced = reason == Ended::Replaced;
        if replaced {
            self.session.rebase(&Base::Nothing, 0)?;
        } else {
            self.session.drop_edits(Some(Base::Over));
        }
        if was_there && !replaced {
            self.session.set_reply(Reply::Clear);
        }
        if let Some(record) = ended {
            self.sessions.announce(&Ending { key, reason, record }).await;
        }
        Ok(if replaced {
            Progress::Again
        } else {
            Progress::Finished(Outcome::Done { version: 0 })
        })
    }

    fn hand_out(&self, token: Option<Token>, ends_at: Option<Timestamp>) {
        if let Some(token) = token {
            self.session.set_reply(Reply::Send { token, ends_at });
        }
    }

    fn tell_of(&self, key: Key, commit: &Commit, version: u64) {
        let sessions = self.sessions;
        if sessions.inner.listeners.is_empty() {
            return;
        }
        if !commit.fields.is_empty() {
            let names = commit.fields.keys().cloned().collect();
            sessions.tell(&Event::Changed { key, names, version });
        }
        if matches!(commit.rotation, Some(Rotation::Replace { .. } | Rotation::Offer { .. })) {
            sessions.tell(&Event::Rotated { key });
        }
        if let Some(sign_in) = &commit.sign_in {
            sessions.tell(&Event::LoggedIn { key, principal: sign_in.principal.clone() });
        }
    }
}

fn compute_on(view: &View, name: &str, compute: &mut Compute<'_>) -> Result<(String, Change)> {
    let expect = view.edits.expect(name, view.record());
    let to = Some(compute(view.edits.shown(name, view.record()))?);
    Ok((name.to_owned(), Change { to, expect }))
}

/// Leaves the queue, and the newest record to the next in it.
fn leave(turn: Option<Turn<'_>>, session: &Session) {
    if let (Some(mut turn), Some(stored)) = (turn, session.view().stored()) {
        *turn = Some((stored.key, (*stored.record).clone()));
    }
}

fn stored(key: Key, opened_under: Option<Proof>, record: Record) -> Base {
    Base::Stored(Stored { key, opened_under, record: Arc::new(record) })
}

/// The record with an applied commit in it.
fn absorb(before: &Record, commit: &Commit, version: u64, now: Timestamp) -> Record {
    let (_, after) = before.apply(commit, now);
    let mut record = after.unwrap_or_else(|| before.clone());
    record.version = version;
    record
}
