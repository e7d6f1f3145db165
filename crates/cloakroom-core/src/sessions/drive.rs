//! Carrying a request's edits to the store, step by step, until they are applied or cannot be.

use std::sync::Arc;

use bytes::Bytes;

use super::Sessions;
use super::queue::Turn;
use super::send::Sent;
use crate::commit::{Change, Commit, Guard, Limit, Outcome, Rotation};
use crate::error::{Error, Result};
use crate::event::{Ended, Ending, Event};
use crate::policy::{Seats, WhenFull};
use crate::record::{Record, Standing};
use crate::session::view::{Base, Extra, Step, Stored, View};
use crate::session::{Reply, Session};
use crate::store::{Built, Created};
use crate::time::{Timestamp, within};
use crate::token::{Key, Proof, Token};

/// One attribute's change, computed for every try from the value that it finds.
pub(crate) type Computed<'a> = (&'a str, &'a mut Compute<'a>);
type Compute<'a> = dyn FnMut(Option<&Bytes>) -> Result<Bytes> + Send + 'a;

/// How often a login tries to displace another one that is under way.
const DISPLACEMENTS: u32 = 8;

/// What one step came to.
enum Progress {
    /// That is the outcome.
    Finished(Outcome),
    /// The view has changed: plan again.
    Again,
    /// Another writer came first: plan again, in the queue.
    Conflict,
}

/// Closes a session whose commit is dropped half-way: nobody knows what became of it. Its edits
/// stay, so that the request's end is told of it.
struct Underway<'a>(Option<&'a Session>);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.0 {
            session.lose();
        }
    }
}

impl Sessions {
    /// Commits what `session` has edited, and `computed` on top. Whatever comes of it, the edits
    /// are done with.
    pub(crate) async fn drive(
        &self,
        session: &Session,
        computed: Option<Computed<'_>>,
    ) -> Result<Outcome> {
        let mut drive = Drive::new(self, session);
        // In a box: whoever may commit carries little, and most that may do not.
        let work = Box::pin(async {
            let _one_commit_at_a_time = session.inner.gate.lock().await;
            let outcome = match session.is_lost() {
                true => Err(Error::OutcomeUnknown),
                false => drive.run(computed).await,
            };
            // Before anybody else's turn: the edits of an unknown commit must not go out again.
            drive.settle(&outcome);
            outcome
        });
        let done = within(&*self.inner.timer, self.policy().deadline, work).await;
        let outcome = done.unwrap_or_else(|| {
            let passed = Err(Error::DeadlinePassed);
            drive.settle(&passed);
            passed
        });
        // Listeners are told outside the deadline and the queue: theirs is other people's code.
        self.announce_all(&drive.endings).await;
        outcome
    }
}

/// One commit of one session, over as many tries as it takes.
struct Drive<'a> {
    sessions: &'a Sessions,
    session: &'a Session,
    /// The number of the newest edit that a try has had in it.
    drafted: u64,
    /// What was ended on the way, to be announced.
    endings: Vec<Ending>,
    displacements: u32,
}

/// One try: what it is built on, and when it was planned.
struct Try {
    base: Base,
    now: Timestamp,
}

impl Try {
    /// What `commit` makes of the record as it was read, if that lets it.
    fn after(&self, commit: &Commit) -> Option<Arc<Record>> {
        self.base.record()?.apply(commit, self.now).1.map(Arc::new)
    }

    fn built<'a>(&'a self, after: &'a Option<Arc<Record>>) -> Option<Built<'a>> {
        let base = &self.base.as_stored()?.record;
        after.as_ref().map(|after| Built { base, after })
    }
}

impl<'a> Drive<'a> {
    fn new(sessions: &'a Sessions, session: &'a Session) -> Self {
        Self { sessions, session, drafted: 0, endings: Vec::new(), displacements: 0 }
    }

    async fn run(&mut self, mut computed: Option<Computed<'_>>) -> Result<Outcome> {
        let mut turn = self.join_busy_queue(computed.is_some()).await?;
        let mut conflicts = 0;
        loop {
            let (tried, step) = self.plan(computed.as_mut())?;
            let mut underway = Underway(Some(self.session));
            let progress = self.take(&tried, step).await;
            underway.0 = None;
            match progress? {
                Progress::Finished(outcome) => {
                    self.leave(turn, &outcome);
                    return Ok(outcome);
                }
                Progress::Again => {}
                Progress::Conflict if turn.is_some() => self.sessions.back_off(conflicts).await,
                Progress::Conflict => turn = self.wait_for_turn().await?,
            }
            conflicts += 1;
        }
    }

    /// Plans a try on the session as it is.
    fn plan(&mut self, computed: Option<&mut Computed<'_>>) -> Result<(Try, Step)> {
        let (session, policy, now) = (self.session, self.sessions.policy(), self.sessions.now());
        let plan = |view: &View, extra: Extra| {
            let step = view.plan(policy, now, extra)?;
            Ok((Try { base: view.base.clone(), now }, step))
        };
        match computed {
            None => session.with_view(|view| {
                self.drafted = view.edits.last();
                plan(view, None)
            }),
            // The user's code runs outside the lock, on a view of its own.
            Some((name, compute)) => {
                let view = session.view();
                self.drafted = view.edits.last();
                let change = compute_on(&view, name, compute)?;
                plan(&view, Some(change))
            }
        }
    }

    /// Where writers of this key queue already, waits with them: a commit that builds on what was
    /// read would only meet a conflict.
    async fn join_busy_queue(&self, computes: bool) -> Result<Option<Turn<'a>>> {
        if !computes && !self.session.builds_on_what_was_read() {
            return Ok(None);
        }
        match self.session.key() {
            Some(key) if self.sessions.inner.queues.is_busy(&key) => self.wait_for_turn().await,
            _ => Ok(None),
        }
    }

    /// Waits until no other writer of this node is at this key.
    async fn wait_for_turn(&self) -> Result<Option<Turn<'a>>> {
        let Some(Stored { key, opened_under, record }) = self.session.stored() else {
            return Ok(None);
        };
        let mut turn = self.sessions.inner.queues.wait(&key).await;
        if let Some(newest) = turn.take(&key).filter(|newest| newest.version > record.version) {
            self.replay_on(&Base::stored(key, opened_under, newest))?;
        }
        Ok(Some(turn))
    }

    /// Leaves the queue, and to the next in it the newest record. One that misses what others
    /// wrote in between, as its version tells, would be no help.
    fn leave(&self, turn: Option<Turn<'_>>, outcome: &Outcome) {
        if let (Some(turn), Outcome::Done { version }) = (turn, outcome)
            && let Some(stored) = self.session.stored()
            && stored.record.version == *version
        {
            turn.leave(stored.key, &stored.record);
        }
    }

    /// Leaves the session as its next user has to find it.
    fn settle(&self, outcome: &Result<Outcome>) {
        let unknown =
            matches!(outcome, Err(Error::Store(_) | Error::OutcomeUnknown | Error::DeadlinePassed));
        if unknown {
            self.session.close();
        }
        match outcome {
            Ok(Outcome::Done { .. }) => return,
            Ok(Outcome::Gone | Outcome::Barred) => self.session.set_base(Base::Gone),
            Ok(Outcome::Conflict(_) | Outcome::Refused(_)) | Err(_) => {}
        }
        self.session.drop_edits(self.drafted);
    }

    async fn take(&mut self, tried: &Try, step: Step) -> Result<Progress> {
        let (sessions, now) = (self.sessions, tried.now);
        match step {
            Step::Nothing => {
                let version = tried.base.record().map_or(0, |record| record.version);
                Ok(Progress::Finished(Outcome::Done { version }))
            }
            Step::Gone => Ok(Progress::Finished(Outcome::Gone)),
            Step::Create { key, token, record, seats } => {
                let creation = async {
                    let sent = sessions.send_creation(key, &record, seats, now).await;
                    self.created(tried, key, token, *record, self.known(sent)?).await
                };
                Box::pin(creation).await
            }
            Step::Commit { key, commit, .. } if commit.is_touch() => {
                self.touch(tried, key, &commit).await
            }
            Step::Commit { key, token, commit } => {
                let after = tried.after(&commit);
                let sent = sessions.send_commit(key, &commit, tried.built(&after), now).await;
                self.committed(tried, key, token, (&commit, after), self.known(sent)?).await
            }
            Step::End { key, guard, reason } => Box::pin(self.end(key, &guard, reason)).await,
        }
    }

    /// Notes a use. That it cannot be noted is no reason to fail a request that only reads.
    async fn touch(&mut self, tried: &Try, key: Key, commit: &Commit) -> Result<Progress> {
        let after = tried.after(commit);
        match self.sessions.ask_to_commit(key, commit, tried.built(&after), tried.now).await {
            Ok(outcome) => {
                let sent = Sent::Answered(outcome);
                self.committed(tried, key, None, (commit, after), sent).await
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(%key, error, "a session's use was not noted");
                Ok(Progress::Finished(Outcome::Done { version: 0 }))
            }
        }
    }

    /// A store that was not reached has changed nothing; but an earlier step of this drive may
    /// have.
    fn known<T>(&self, sent: Result<T>) -> Result<T> {
        match sent {
            Err(Error::Store(_)) if !self.endings.is_empty() => Err(Error::OutcomeUnknown),
            sent => sent,
        }
    }

    async fn created(
        &mut self,
        tried: &Try,
        key: Key,
        token: Option<Token>,
        record: Record,
        sent: Sent<Created>,
    ) -> Result<Progress> {
        let record = match sent {
            Sent::Answered(Created::Done { .. }) => record,
            Sent::Found(_) if record.principal.is_some() => {
                return self.undo_sign_in(key, record.proof).await;
            }
            Sent::Found(found) => (*found).clone(),
            // Only a record found by name can be there already: another node has made it.
            Sent::Answered(Created::Exists) => {
                let found = self.sessions.newest(key, tried.now).await?;
                self.replay_on(&Base::named(key, found))?;
                return Ok(Progress::Conflict);
            }
            Sent::Answered(Created::Barred) => return Ok(Progress::Finished(Outcome::Barred)),
            Sent::Answered(Created::Refused(limit)) => {
                return Box::pin(self.make_room(record.principal, limit)).await;
            }
        };
        let (version, opened_under) = (record.version, token.as_ref().map(Token::proof));
        self.session.set_fence(version);
        self.tell_of_creation(key, token.as_ref(), &record);
        self.hand_out(token, record.ends_at);
        self.session.rebase(&Base::stored(key, opened_under, record), self.drafted)?;
        Ok(Progress::Finished(Outcome::Done { version }))
    }

    async fn committed(
        &mut self,
        tried: &Try,
        key: Key,
        token: Option<Token>,
        (commit, after): (&Commit, Option<Arc<Record>>),
        sent: Sent<Outcome>,
    ) -> Result<Progress> {
        let replaced = match commit.rotation {
            Some(Rotation::Replace { proof, .. }) => Some(proof),
            Some(Rotation::Offer { .. } | Rotation::Confirm { .. }) | None => None,
        };
        let (record, version) = match sent {
            // What others wrote in between is not in it; its version, lower than the store's, says
            // so.
            Sent::Answered(Outcome::Done { version }) => {
                let before = tried.base.record().ok_or(Error::OutcomeUnknown)?;
                let with = || Arc::new(before.with(commit, tried.now));
                (after.unwrap_or_else(with), version)
            }
            Sent::Found(_) if replaced.is_some() => {
                return Box::pin(self.undo_sign_in(key, replaced)).await;
            }
            Sent::Found(found) => {
                let version = found.version;
                (found, version)
            }
            Sent::Answered(Outcome::Conflict(record)) => {
                self.replay_on(&Base::stored(key, commit.opened_under, record))?;
                return Ok(Progress::Conflict);
            }
            Sent::Answered(Outcome::Gone) if commit.sign_in.is_some() => {
                self.replay_on(&Base::Nothing)?;
                return Ok(Progress::Again);
            }
            Sent::Answered(Outcome::Refused(limit)) => {
                let principal = commit.sign_in.as_ref().map(|sign_in| sign_in.principal.clone());
                return Box::pin(self.make_room(principal, limit)).await;
            }
            Sent::Answered(outcome) => return Ok(Progress::Finished(outcome)),
        };
        let opened_under = replaced.or(commit.opened_under);
        let key = self.sessions.keeping().key_after(key);
        if tried.base.record().is_none_or(|before| before.version != version) {
            self.session.set_fence(version);
        }
        self.tell_of(key, commit, version);
        self.hand_out(token, record.ends_at);
        self.session.rebase(&Base::stored(key, opened_under, record), self.drafted)?;
        Ok(Progress::Finished(Outcome::Done { version }))
    }

    /// Ends what a sign-in has left whose answer was lost. In a store that keeps sessions and seats
    /// apart, nobody has confirmed its seat: it may be one too many, or missed by an end of all.
    async fn undo_sign_in(&mut self, key: Key, proof: Option<Proof>) -> Result<Progress> {
        let guard = proof.map_or(Guard::None, Guard::Proof);
        let removed = self.sessions.remove(key, &guard, Ended::Revoked).await;
        self.endings.extend(removed.ok().and_then(|(ending, _)| ending));
        Err(Error::OutcomeUnknown)
    }

    /// Where the seats are taken and the policy says so, ends the session of the oldest login of
    /// who signs in.
    async fn make_room(&mut self, principal: Option<String>, limit: Limit) -> Result<Progress> {
        let when_full = self.sessions.policy().seats.map(|Seats { when_full, .. }| when_full);
        let oldest = match &limit {
            Limit::Seats { taken } if when_full == Some(WhenFull::EndOldest) => taken.first(),
            _ => None,
        };
        let (Some(oldest), Some(principal)) = (oldest, principal) else {
            return Ok(Progress::Finished(Outcome::Refused(limit)));
        };
        let guard = Guard::Principal(principal);
        let (ending, _) = self.sessions.remove(*oldest, &guard, Ended::Displaced).await?;
        match ending {
            Some(ending) => self.endings.push(ending),
            // Another login is at this seat: it leaves it or takes it in a moment.
            None if self.displacements < DISPLACEMENTS => {
                self.displacements += 1;
                self.sessions.back_off(self.displacements).await;
            }
            None => return Ok(Progress::Finished(Outcome::Refused(limit))),
        }
        Ok(Progress::Again)
    }

    async fn end(&mut self, key: Key, guard: &Guard, reason: Ended) -> Result<Progress> {
        let (ending, was_there) = self.sessions.remove(key, guard, reason).await?;
        let taken = ending.is_some();
        self.endings.extend(ending);
        if reason == Ended::Replaced {
            self.replay_on(&Base::Nothing)?;
            return Ok(Progress::Again);
        }
        if !taken {
            match self.is_settling(key, guard).await {
                Ok(true) => return Err(Error::Settling),
                Ok(false) => {}
                // An earlier send may have ended it.
                Err(_) if was_there => return Err(Error::OutcomeUnknown),
                Err(error) => return Err(error),
            }
        }
        self.session.set_base(Base::Ended);
        self.session.drop_edits(self.drafted);
        if was_there {
            self.session.set_reply(Reply::Clear);
        }
        Ok(Progress::Finished(Outcome::Done { version: 0 }))
    }

    /// Whether a session was not ended because a login has just replaced its secret.
    async fn is_settling(&self, key: Key, guard: &Guard) -> Result<bool> {
        let Guard::Proof(proof) = guard else {
            return Ok(false);
        };
        let now = self.sessions.now();
        let record = self.sessions.newest(key, now).await?;
        Ok(record.is_some_and(|record| record.admits(proof, now) == Standing::Settling))
    }

    /// Takes a newer base, and replays all edits on it.
    fn replay_on(&self, base: &Base) -> Result<()> {
        // Also where the commit comes to nothing: the request may show what it has seen here.
        if let Base::Stored(Stored { record, .. }) = base {
            self.session.set_fence(record.version);
        }
        self.session.rebase(base, 0)
    }

    fn hand_out(&self, token: Option<Token>, ends_at: Option<Timestamp>) {
        if let Some(token) = token {
            self.session.set_reply(Reply::Send { token, ends_at });
        }
    }

    fn tell_of_creation(&self, key: Key, token: Option<&Token>, record: &Record) {
        if token.is_some() {
            self.sessions.tell(&Event::Created { key });
        }
        if let Some(principal) = record.principal.clone() {
            self.sessions.tell(&Event::LoggedIn { key, principal });
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
