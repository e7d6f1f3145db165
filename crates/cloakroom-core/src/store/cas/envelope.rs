//! What a register keeps in a record's place: the record, or its ending, or both.

use bytes::{BufMut, BytesMut};

use super::register::Due;
use crate::time::Timestamp;

/// The first byte: what follows is as this version writes it.
const FORMAT: u8 = 1;
/// Bytes of a label.
const LEN: usize = 1 + 3 * 8;

/// What a register can know of a place without knowing what is in it: three instants that begin its
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    /// Until when there is a living record; [`Timestamp::EPOCH`] where there is none,
    /// [`Timestamp::MAX`] where it never ends by itself.
    pub alive_until: Timestamp,
    /// From when on there is a record that is over; [`Timestamp::MAX`]: never.
    pub over_from: Timestamp,
    /// From when on there is an ending that nobody has leased; [`Timestamp::MAX`]: never.
    pub lapses_at: Timestamp,
}

impl Default for Label {
    /// That of a place with neither a record nor an ending.
    fn default() -> Self {
        Self { alive_until: Timestamp::EPOCH, over_from: Timestamp::MAX, lapses_at: Timestamp::MAX }
    }
}

impl Label {
    /// Reads the label that `bytes` begin with; `None` where this version did not write them.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (label, _) = split(bytes)?;
        Some(label)
    }

    /// Whether a place with this label is due at `now`.
    pub fn is_due(&self, what: Due, now: Timestamp) -> bool {
        match what {
            Due::Over => self.over_from <= now && self.over_from != Timestamp::MAX,
            Due::Lapsed => self.lapses_at <= now && self.lapses_at != Timestamp::MAX,
        }
    }

    pub(super) fn write(self, into: &mut BytesMut) {
        into.put_u8(FORMAT);
        into.put_u64(self.alive_until.millis());
        into.put_u64(self.over_from.millis());
        into.put_u64(self.lapses_at.millis());
    }
}

/// Takes the label off.
pub(super) fn split(bytes: &[u8]) -> Option<(Label, &[u8])> {
    let (head, content) = bytes.split_at_checked(LEN)?;
    let instant = |at: usize| {
        let millis = head[at..at + 8].try_into().map(u64::from_be_bytes).ok()?;
        Some(Timestamp::from_millis(millis))
    };
    let label = Label { alive_until: instant(1)?, over_from: instant(9)?, lapses_at: instant(17)? };
    (head[0] == FORMAT).then_some((label, content))
}
