//! What a register keeps in a record's place: the record, or its ending, or both.

use bytes::{BufMut, BytesMut};

use crate::time::Timestamp;

/// The first byte: what follows is as this version writes it.
const FORMAT: u8 = 1;
/// Bytes of a label.
const LEN: usize = 1 + 8 + 8;

/// What a register can know of a place without knowing what is in it: two instants that begin its
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Label {
    /// Until when there is a living record; [`Timestamp::EPOCH`] where there is none,
    /// [`Timestamp::MAX`] where it never ends by itself.
    pub alive_until: Timestamp,
    /// From when on a sweep has something to do here; [`Timestamp::MAX`]: never.
    pub due: Timestamp,
}

impl Label {
    /// Reads the label that `bytes` begin with; `None` where this version did not write them.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let (label, _) = split(bytes)?;
        Some(label)
    }

    pub(super) fn write(self, into: &mut BytesMut) {
        into.put_u8(FORMAT);
        into.put_u64(self.alive_until.millis());
        into.put_u64(self.due.millis());
    }
}

/// Takes the label off.
pub(super) fn split(bytes: &[u8]) -> Option<(Label, &[u8])> {
    let (head, content) = bytes.split_at_checked(LEN)?;
    let millis = |at: usize| Some(u64::from_be_bytes(head[at..at + 8].try_into().ok()?));
    let alive_until = Timestamp::from_millis(millis(1)?);
    let due = Timestamp::from_millis(millis(9)?);
    (head[0] == FORMAT).then_some((Label { alive_until, due }, content))
}
