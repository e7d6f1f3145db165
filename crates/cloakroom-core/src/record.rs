//! A session as it is kept: one record, one version, every attribute with a version of its own.

mod codec;
mod fields;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use codec::Unreadable;
pub use fields::Fields;

use crate::ended::Ended;
use crate::time::Timestamp;
use crate::token::{Proof, random};

/// How many earlier secrets a record recognises at once; the oldest is forgotten first.
pub const MOST_SUPERSEDED: usize = 8;

/// Names one commit. A field's version is the id of the commit that wrote it, so versions are
/// compared for equality only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId([u8; 8]);

impl CommitId {
    /// An id that no other commit has.
    pub fn random() -> Self {
        Self(random())
    }

    /// Rebuilds an id from what a store keeps.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// An id of the caller's own making.
    pub const fn from_number(number: u64) -> Self {
        Self(number.to_be_bytes())
    }

    /// As a store keeps it.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommitId({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

/// Names a record's content: made anew with every commit that writes, from the mark before and the
/// commit's id. Which commit was the last says too little, for it may have been applied to something
/// else than its sender knew.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mark([u8; 8]);

impl Mark {
    /// The mark of a new record.
    pub fn random() -> Self {
        Self(random())
    }

    /// Rebuilds a mark from what a store keeps.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// As a store keeps it.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// The mark of what commit `id` makes of this. Turned by a byte first: order matters.
    pub(crate) fn then(self, id: CommitId) -> Self {
        let mut mark = self.0;
        mark.rotate_left(1);
        for (byte, with) in mark.iter_mut().zip(id.0) {
            *byte ^= with;
        }
        Self(mark)
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

/// One attribute's stored value.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// The commit that wrote it.
    pub version: CommitId,
    /// The value, JSON unless the application stores bytes of its own.
    pub bytes: Bytes,
}

impl fmt::Debug for Field {
    /// Prints the length, never the value: attributes are the user's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({:?}, {} bytes)", self.version, self.bytes.len())
    }
}

/// A secret that used to open the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Superseded {
    /// The earlier secret's proof.
    pub proof: Proof,
    /// Until when it is recognised; from then on it is a stranger's.
    pub until: Timestamp,
    /// Whether it still opens the record (after a timed rotation) or is only recognised (after a
    /// login).
    pub admitted: bool,
}

/// A secret that was handed out and has not come back yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offered {
    /// The waiting secret's proof.
    pub proof: Proof,
    /// When it was handed out.
    pub at: Timestamp,
}

/// Where a presented secret stands with a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The current secret.
    Current,
    /// The one offered by a timed rotation, presented for the first time.
    Offered,
    /// The one before, in its grace after a timed rotation.
    Grace,
    /// One that a login has replaced a moment ago: recognised, not admitted.
    Settling,
    /// No secret of this record.
    Stranger,
}

impl Standing {
    /// Whether this secret may read and write the record.
    pub const fn admitted(self) -> bool {
        matches!(self, Self::Current | Self::Offered | Self::Grace)
    }
}

/// A session as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Grows by one with every commit that changes something; a touch leaves it alone.
    pub version: u64,
    /// Tells what was written since its creation, by which commits and in which order: two records
    /// of one key with the same mark are the same.
    pub mark: Mark,
    /// SHA-256 of the current secret; `None` for a record that no token opens.
    pub proof: Option<Proof>,
    /// Since when `proof` is the current one.
    pub proof_since: Timestamp,
    /// Earlier secrets that are still recognised, oldest first.
    pub superseded: Vec<Superseded>,
    /// The secret that a timed rotation has handed out.
    pub next: Option<Offered>,
    /// Who is signed in.
    pub principal: Option<String>,
    /// When they signed in.
    pub authenticated_at: Option<Timestamp>,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it was last used, to within the policy's `touch_after`.
    pub touched_at: Timestamp,
    /// How long it may go unused; `None`: for ever. Whole milliseconds.
    pub idle: Option<Duration>,
    /// When it ends however much it is used; `None`: never.
    pub ends_at: Option<Timestamp>,
    /// The attributes.
    pub fields: Fields,
    /// What a newer version of this crate has written beside: kept and written back as it is.
    pub unknown: BTreeMap<String, Bytes>,
}

impl fmt::Debug for Record {
    /// Prints what a log may hold: no attribute's value, and nothing of what is unknown but names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("version", &self.version)
            .field("mark", &self.mark)
            .field("proof", &self.proof)
            .field("proof_since", &self.proof_since)
            .field("superseded", &self.superseded)
            .field("next", &self.next)
            .field("principal", &self.principal)
            .field("authenticated_at", &self.authenticated_at)
            .field("created_at", &self.created_at)
            .field("touched_at", &self.touched_at)
            .field("idle", &self.idle)
            .field("ends_at", &self.ends_at)
            .field("fields", &self.fields)
            .field("unknown", &self.unknown.keys())
            .finish()
    }
}

impl Record {
    /// An empty record that never ends, at version 1.
    pub fn new(proof: Option<Proof>, now: Timestamp) -> Self {
        Self {
            version: 1,
            mark: Mark::random(),
            proof,
            proof_since: now,
            superseded: Vec::new(),
            next: None,
            principal: None,
            authenticated_at: None,
            created_at: now,
            touched_at: now,
            idle: None,
            ends_at: None,
            fields: Fields::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// Tells where a presented secret stands at `now`. Opening and committing both ask here.
    pub fn admits(&self, proof: &Proof, now: Timestamp) -> Standing {
        if self.proof.as_ref() == Some(proof) {
            return Standing::Current;
        }
        if self.next.is_some_and(|next| next.proof == *proof) {
            return Standing::Offered;
        }
        match self.superseded.iter().rfind(|old| old.proof == *proof && now < old.until) {
            Some(old) if old.admitted => Standing::Grace,
            Some(_) => Standing::Settling,
            None => Standing::Stranger,
        }
    }

    /// The first instant at which the record is over; `None` where it never ends by itself.
    pub fn deadline(&self) -> Option<Timestamp> {
        let idle = self.idle.map(|idle| self.touched_at + idle);
        match (idle, self.ends_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Whether the deadline has come.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Why the record is over, or will be: its lifetime where that comes first, else its idleness.
    pub fn expiry(&self) -> Ended {
        if self.ends_at.is_some() && self.ends_at == self.deadline() {
            Ended::Lifetime
        } else {
            Ended::Idle
        }
    }

    /// About how many bytes the record takes in memory.
    pub(crate) fn memory(&self) -> usize {
        const FIELD: usize = size_of::<(Arc<str>, Field)>() + 32;
        size_of::<Self>() + self.size() + self.fields.len() * FIELD
    }

    /// The same record, with memory of its own for everything: what was read from a store holds on
    /// to all that was read.
    pub(crate) fn apart(&self) -> Self {
        let own = |(name, value): (&String, &Bytes)| (name.clone(), Bytes::copy_from_slice(value));
        let unknown = self.unknown.iter().map(own).collect();
        Self { fields: self.fields.apart(), unknown, ..self.clone() }
    }

    /// Bytes of all attributes, names included: what a limit on bytes counts.
    pub fn size(&self) -> usize {
        self.fields.iter().map(|(name, field)| name.len() + field.bytes.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Secret;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn the_earlier_of_two_deadlines_counts() {
        let mut record = Record::new(None, NOW);
        assert_eq!(record.deadline(), None);
        record.idle = Some(Duration::from_secs(10));
        assert_eq!(
            (record.deadline(), record.expiry()),
            (Some(NOW + Duration::from_secs(10)), Ended::Idle)
        );
        record.ends_at = Some(NOW + Duration::from_secs(5));
        assert_eq!((record.deadline(), record.expiry()), (record.ends_at, Ended::Lifetime));
        assert!(!record.is_over(NOW + Duration::from_millis(4_999)));
        assert!(record.is_over(NOW + Duration::from_secs(5)));
    }

    #[test]
    fn an_earlier_secret_is_recognised_until_its_time() {
        let (current, old) = (Secret::random().proof(), Secret::random().proof());
        let mut record = Record::new(Some(current), NOW);
        let until = NOW + Duration::from_secs(60);
        record.superseded.push(Superseded { proof: old, until, admitted: false });
        assert_eq!(record.admits(&current, NOW), Standing::Current);
        assert_eq!(record.admits(&old, NOW), Standing::Settling);
        assert_eq!(record.admits(&old, until), Standing::Stranger);
        record.superseded[0].admitted = true;
        assert!(record.admits(&old, NOW).admitted());
    }

    #[test]
    fn debug_prints_no_value() {
        let secret = Bytes::from_static(b"hunter2");
        let mut record = Record::new(None, NOW);
        record.unknown.insert("z".to_owned(), secret.clone());
        let field = Field { version: CommitId::random(), bytes: secret };
        record.fields.insert("pin", field);
        let said = format!("{record:?}");
        assert!(said.contains("pin") && !said.contains("hunter2"), "{said}");
    }
}
