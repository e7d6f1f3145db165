//! Records and commits to test with. Time is explicit: every law begins at [`START`].

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::commit::{Change, Expect, Room, Rotation, SignIn};
use cloakroom_core::record::{CommitId, Field};
use cloakroom_core::token::{Proof, Secret};
use cloakroom_core::{Commit, Key, Kind, Record, Timestamp};

/// When every law begins.
pub const START: Timestamp = Timestamp::from_millis(1_763_600_000_000);
/// The idle timeout of [`session`].
pub const IDLE: Duration = Duration::from_secs(30 * 60);
/// The lifetime of [`session`].
pub const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// Room that no law fills unless it is about room.
pub const ROOM: Room = Room { fields: 1_000, bytes: 1 << 20 };

/// So many seconds after [`START`].
pub fn after(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

/// So many milliseconds after [`START`].
pub fn after_millis(millis: u64) -> Timestamp {
    START + Duration::from_millis(millis)
}

/// A session's key that nobody has.
pub fn key() -> Key {
    Key::random(Kind::Session)
}

/// A secret's proof that nobody has.
pub fn proof() -> Proof {
    Secret::random().proof()
}

/// An empty session, made at `now`, with a secret, an idle timeout and a lifetime.
pub fn session(now: Timestamp) -> Record {
    let mut record = Record::new(Some(proof()), now);
    record.idle = Some(IDLE);
    record.ends_at = Some(now + LIFETIME);
    record
}

/// A session of `principal`, who signed in at `now`.
pub fn session_of(principal: &str, now: Timestamp) -> Record {
    let mut record = session(now);
    record.principal = Some(principal.to_owned());
    record.authenticated_at = Some(now);
    record
}

/// A value as a record holds it, written by a commit of its own.
pub fn field(bytes: impl Into<Bytes>) -> Field {
    Field { version: CommitId::random(), bytes: bytes.into() }
}

/// A commit by the holder of `record`'s secret, that changes nothing yet.
pub fn visit(record: &Record) -> Commit {
    Commit::new(record.proof, ROOM)
}

/// An administrator's commit, that changes nothing yet.
pub fn administer() -> Commit {
    Commit::new(None, ROOM)
}

/// Says what a commit does, a line for each thing.
pub trait Doing: Sized {
    /// Writes a field, whatever it is.
    fn set(self, name: &str, value: impl Into<Bytes>) -> Self {
        self.set_if(name, Expect::Any, value)
    }

    /// Writes a field that is as expected.
    fn set_if(self, name: &str, expect: Expect, value: impl Into<Bytes>) -> Self;

    /// Removes a field, whatever it is.
    fn remove(self, name: &str) -> Self {
        self.remove_if(name, Expect::Any)
    }

    /// Removes a field that is as expected.
    fn remove_if(self, name: &str, expect: Expect) -> Self;

    /// Counts as a use.
    fn touching(self) -> Self;

    /// Rotates the secret.
    fn rotating(self, rotation: Rotation) -> Self;

    /// Signs somebody in.
    fn signing_in(self, principal: &str, seats: Option<usize>) -> Self;

    /// Leaves only so much room.
    fn within(self, fields: usize, bytes: usize) -> Self;
}

impl Doing for Commit {
    fn set_if(mut self, name: &str, expect: Expect, value: impl Into<Bytes>) -> Self {
        let to = Some(value.into());
        self.fields.insert(name.to_owned(), Change { to, expect });
        self
    }

    fn remove_if(mut self, name: &str, expect: Expect) -> Self {
        let change = Change { to: None, expect };
        self.fields.insert(name.to_owned(), change);
        self
    }

    fn touching(mut self) -> Self {
        self.touch = true;
        self
    }

    fn rotating(mut self, rotation: Rotation) -> Self {
        self.rotation = Some(rotation);
        self
    }

    fn signing_in(mut self, principal: &str, seats: Option<usize>) -> Self {
        self.sign_in = Some(SignIn { principal: principal.to_owned(), seats });
        self
    }

    fn within(mut self, fields: usize, bytes: usize) -> Self {
        self.room = Room { fields, bytes };
        self
    }
}
