//! A request's work as data, and what becomes of it: [`Record::apply`] is the specification that
//! every store is held to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::record::{CommitId, Field, MOST_SUPERSEDED, Offered, Record, Superseded};
use crate::time::Timestamp;
use crate::token::{Key, Proof};

/// What a commit requires of a field before it writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing: the last writer wins.
    Any,
    /// That it is not there.
    Absent,
    /// That this commit wrote it last.
    Version(CommitId),
}

impl Expect {
    /// The expectation that `field` is as it was read.
    pub fn unchanged(field: Option<&Field>) -> Self {
        field.map_or(Self::Absent, |field| Self::Version(field.version))
    }

    fn holds(self, field: Option<&Field>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => field.is_none(),
            Self::Version(version) => field.is_some_and(|field| field.version == version),
        }
    }
}

/// What a commit does to one field.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    /// The new value; `None` removes the field.
    pub to: Option<Bytes>,
    /// What must hold for it.
    pub expect: Expect,
}

impl fmt::Debug for Change {
    /// Prints the length, never the value: attributes are the user's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.to.as_ref().map(Bytes::len);
        f.debug_struct("Change").field("bytes", &bytes).field("expect", &self.expect).finish()
    }
}

/// What a commit does to the secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotation {
    /// A login: the new secret counts at once; every earlier one is recognised for `settle`, and
    /// admitted no more.
    Replace {
        /// The new secret's proof.
        proof: Proof,
        /// How long the earlier ones are recognised.
        settle: Duration,
    },
    /// A timed rotation begins: the new secret waits until it is presented. A conflict where
    /// another one waits than `instead_of`, or where the commit was not opened under the current
    /// secret: a client may hold what another request has offered it.
    Offer {
        /// The new secret's proof.
        proof: Proof,
        /// The offer that this one takes the place of.
        instead_of: Option<Proof>,
    },
    /// A timed rotation ends: the offered secret, under which this commit was opened, becomes the
    /// current one; the one before is admitted for `grace`. Changes nothing where that has
    /// happened already.
    Confirm {
        /// How long the secret before is still admitted.
        grace: Duration,
    },
}

/// What a commit does to the principal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignIn {
    /// Who signs in.
    pub principal: String,
    /// How many sessions this principal may have, this one included; `None`: any number.
    pub seats: Option<usize>,
}

/// How much a record may hold. A commit that makes a record smaller passes in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// The most fields.
    pub fields: usize,
    /// The most bytes of all fields together, names included.
    pub bytes: usize,
}

/// A request's work on one record: applied whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Names this commit; the version of every field that it writes.
    pub id: CommitId,
    /// The secret that opened the session; `None` for an administrator's commit.
    pub opened_under: Option<Proof>,
    /// The fields to write and remove.
    pub fields: BTreeMap<String, Change>,
    /// What happens to the secret.
    pub rotation: Option<Rotation>,
    /// Who signs in.
    pub sign_in: Option<SignIn>,
    /// The new idle timeout, where there is one; `Some(None)`: never idle out.
    pub idle: Option<Option<Duration>>,
    /// The new end, where there is one; `Some(None)`: never end.
    pub ends_at: Option<Option<Timestamp>>,
    /// Whether this counts as a use of the session.
    pub touch: bool,
    /// How much the record may hold afterwards.
    pub room: Room,
}

impl Commit {
    /// Whether this only notes that the session was used.
    pub(crate) fn is_touch(&self) -> bool {
        self.fields.is_empty()
            && self.rotation.is_none()
            && self.sign_in.is_none()
            && self.idle.is_none()
            && self.ends_at.is_none()
    }

    /// Whether it changes whatever record it is applied to: a removal may find nothing to remove.
    pub(crate) fn surely_changes(&self) -> bool {
        self.fields.values().any(|change| change.to.is_some())
            || matches!(self.rotation, Some(Rotation::Replace { .. } | Rotation::Offer { .. }))
            || self.sign_in.is_some()
            || self.idle.is_some()
            || self.ends_at.is_some()
    }

    /// A commit that changes nothing yet. Sent as it is, it checks that the session is there.
    pub fn new(opened_under: Option<Proof>, room: Room) -> Self {
        Self {
            id: CommitId::random(),
            opened_under,
            fields: BTreeMap::new(),
            rotation: None,
            sign_in: None,
            idle: None,
            ends_at: None,
            touch: false,
            room,
        }
    }
}

/// A limit that a commit has run into. Nothing of the commit was applied.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// Too many attributes.
    #[error("a session holds at most {most} attributes")]
    Fields {
        /// The most there may be.
        most: usize,
    },
    /// Too many bytes.
    #[error("a session's attributes hold at most {most} bytes together")]
    Bytes {
        /// The most there may be.
        most: usize,
    },
    /// A sealed session would be more than its client keeps.
    #[error(
        "the sealed session is {over} bytes more than {most} characters hold; keep less in it, or \
         keep sessions in a store"
    )]
    Sealed {
        /// By how many bytes it is too large, before it is sealed.
        over: usize,
        /// How many characters its client keeps, such as a cookie's 4096 less its name.
        most: usize,
    },
    /// The principal has all the sessions it may have.
    #[error("this user has {} sessions already, the most there may be", taken.len())]
    Seats {
        /// The sessions that hold the seats, the oldest login first.
        taken: Vec<Key>,
    },
}

/// What became of a commit.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a commit that was not done has changed nothing"]
pub enum Outcome {
    /// Applied, now or by an earlier send of the same commit.
    Done {
        /// The record's version with the commit in it, or a later one.
        version: u64,
    },
    /// A field was not as expected. Nothing was applied; here is the record as it is.
    Conflict(Arc<Record>),
    /// There is no such session, or the commit was opened under a secret it no longer admits.
    Gone,
    /// All of the principal's sessions were ended while this sign-in was under way; nothing is
    /// left of it.
    Barred,
    /// A limit stands against it.
    Refused(Limit),
}

impl Record {
    /// Applies `commit` at `now`: what becomes of it, and the record to write where something
    /// changed. Whatever the outcome, `self` stays as it is.
    ///
    /// A limit on seats is not decided here: it concerns other records, and is the store's part.
    pub fn apply(&self, commit: &Commit, now: Timestamp) -> (Outcome, Option<Self>) {
        if self.is_over(now) {
            return (Outcome::Gone, None);
        }
        if self.contains(commit) {
            return (Outcome::Done { version: self.version }, None);
        }
        if commit.opened_under.is_some_and(|proof| !self.admits(&proof, now).admitted()) {
            return (Outcome::Gone, None);
        }
        if !self.meets(commit) {
            return (Outcome::Conflict(Arc::new(self.clone())), None);
        }
        let after = self.with(commit, now);
        if let Some(limit) = after.over(commit.room, self) {
            return (Outcome::Refused(limit), None);
        }
        let written = after.mark != self.mark;
        (Outcome::Done { version: after.version }, written.then_some(after))
    }

    /// The record with `commit` in it, whatever stands against that. Where the commit has changed
    /// nothing, it is the same, its mark included.
    pub(crate) fn with(&self, commit: &Commit, now: Timestamp) -> Self {
        let mut after = self.clone();
        let mut changed = after.change_fields(commit);
        changed |= after.rotate(commit, now);
        changed |= after.change_terms(commit, now);
        after.version = after.version.saturating_add(u64::from(changed));
        if commit.touch {
            after.touched_at = after.touched_at.max(now);
        }
        if changed || after.touched_at != self.touched_at {
            after.mark = self.mark.then(commit.id);
        }
        after
    }

    /// Whether `commit` has been applied before, as far as it has left a trace that still stands.
    pub(crate) fn contains(&self, commit: &Commit) -> bool {
        let rotated = match commit.rotation {
            Some(Rotation::Replace { proof, .. }) => self.proof == Some(proof),
            Some(Rotation::Offer { proof, .. }) => {
                self.next.is_some_and(|next| next.proof == proof)
            }
            Some(Rotation::Confirm { .. }) | None => false,
        };
        let wrote =
            |name: &String| self.fields.get(name).is_some_and(|field| field.version == commit.id);
        rotated || commit.fields.keys().any(wrote)
    }

    /// Whether everything is as `commit` expects.
    fn meets(&self, commit: &Commit) -> bool {
        let offerable = match commit.rotation {
            Some(Rotation::Offer { instead_of, .. }) => {
                let waiting = self.next.map(|next| next.proof);
                waiting == instead_of && commit.opened_under == self.proof
            }
            _ => true,
        };
        offerable
            && commit.fields.iter().all(|(name, change)| change.expect.holds(self.fields.get(name)))
    }

    fn change_fields(&mut self, commit: &Commit) -> bool {
        let mut changed = false;
        for (name, change) in &commit.fields {
            changed |= match &change.to {
                Some(bytes) => {
                    let field = Field { version: commit.id, bytes: bytes.clone() };
                    self.fields.insert(name.as_str(), field);
                    true
                }
                None => self.fields.remove(name).is_some(),
            };
        }
        changed
    }

    /// The limit that this record exceeds and `before` exceeded less.
    fn over(&self, room: Room, before: &Self) -> Option<Limit> {
        if self.fields.len() > room.fields && self.fields.len() > before.fields.len() {
            return Some(Limit::Fields { most: room.fields });
        }
        let size = self.size();
        (size > room.bytes && size > before.size()).then_some(Limit::Bytes { most: room.bytes })
    }

    fn rotate(&mut self, commit: &Commit, now: Timestamp) -> bool {
        match commit.rotation {
            None => false,
            Some(Rotation::Replace { proof, settle }) => {
                self.settle(now + settle);
                self.become_current(proof, now);
                true
            }
            Some(Rotation::Offer { proof, .. }) => {
                self.next = Some(Offered { proof, at: now });
                true
            }
            Some(Rotation::Confirm { grace }) => {
                let Some(offered) =
                    self.next.filter(|next| commit.opened_under == Some(next.proof))
                else {
                    return false;
                };
                let until = now + grace;
                self.supersede(self.proof.map(|proof| Superseded { proof, until, admitted: true }));
                self.become_current(offered.proof, now);
                true
            }
        }
    }

    /// Lets every secret that is admitted now be recognised until `until`, and no more than that.
    fn settle(&mut self, until: Timestamp) {
        for old in self.superseded.iter_mut().filter(|old| old.admitted) {
            *old = Superseded { until, admitted: false, ..*old };
        }
        let settled = |proof| Superseded { proof, until, admitted: false };
        self.supersede(self.proof.map(settled));
        self.supersede(self.next.map(|next| settled(next.proof)));
    }

    fn supersede(&mut self, old: Option<Superseded>) {
        self.superseded.extend(old);
        let surplus = self.superseded.len().saturating_sub(MOST_SUPERSEDED);
        self.superseded.drain(..surplus);
    }

    fn become_current(&mut self, proof: Proof, now: Timestamp) {
        self.superseded.retain(|old| now < old.until);
        self.proof = Some(proof);
        self.proof_since = now;
        self.next = None;
    }

    fn change_terms(&mut self, commit: &Commit, now: Timestamp) -> bool {
        if let Some(sign_in) = &commit.sign_in {
            self.principal = Some(sign_in.principal.clone());
            self.authenticated_at = Some(now);
        }
        if let Some(idle) = commit.idle {
            self.idle = idle;
        }
        if let Some(ends_at) = commit.ends_at {
            self.ends_at = ends_at;
        }
        commit.sign_in.is_some() || commit.idle.is_some() || commit.ends_at.is_some()
    }
}

/// What must hold for a session to be ended by key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Guard {
    /// Nothing: an administrator's ending.
    None,
    /// That this secret opens it: the holder's own ending.
    Proof(Proof),
    /// That this principal is signed in: a user's ending of another session of theirs.
    Principal(String),
}

impl Guard {
    /// Whether `record` may be ended at `now`. A record that is over may not: its expiry is
    /// announced as what it is.
    pub fn allows(&self, record: &Record, now: Timestamp) -> bool {
        !record.is_over(now)
            && match self {
                Self::None => true,
                Self::Proof(proof) => record.admits(proof, now).admitted(),
                Self::Principal(principal) => record.principal.as_ref() == Some(principal),
            }
    }
}
