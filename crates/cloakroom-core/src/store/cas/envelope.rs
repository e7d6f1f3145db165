//! What a register keeps in a record's place: the record, or its ending, or both.

use std::fmt;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::register::{Due, Held, Put};
use crate::ended::Ended;
use crate::event::Ending;
use crate::record::{Record, Unreadable};
use crate::store::{Error, Keep, Result};
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// For how long after its deadline a backend keeps what no sweep has removed.
const BACKSTOP: Duration = Duration::from_secs(24 * 60 * 60);
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

/// What is in a record's place, read.
#[derive(Clone, Debug, Default)]
pub(super) struct Envelope {
    /// The record, living or over and not swept yet.
    pub(super) record: Option<Record>,
    /// An ending that waits to be announced, of that record's forerunner.
    pub(super) ending: Option<Waiting>,
}

/// An ending that waits to be announced.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) reason: Ended,
    pub(super) leased_until: Timestamp,
    /// What it held, as it was stored.
    record: Hidden,
}

/// A record's bytes, which no log may hold.
#[derive(Clone)]
struct Hidden(Bytes);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

impl Envelope {
    /// An envelope with a record and nothing else.
    pub(super) fn of(record: Record) -> Self {
        Self { record: Some(record), ending: None }
    }

    /// Reads what is held in the place of `key`.
    pub(super) fn open(key: Key, held: &Held) -> Result<Self> {
        parse(&held.bytes).map_err(|source| Error::Unreadable { key, source })
    }

    /// The same, with another record.
    pub(super) fn with(self, record: Record) -> Self {
        Self { record: Some(record), ..self }
    }

    /// The same without its record, and with an ending of it where one is to be kept.
    pub(super) fn without(self, key: Key, reason: Ended, keep: Keep) -> Self {
        let ending = match (keep, key.kind(), self.record) {
            (Keep::LeasedUntil(leased_until), Kind::Session, Some(record)) => {
                Some(Waiting { reason, leased_until, record: Hidden(record.encode()) })
            }
            _ => self.ending,
        };
        Self { record: None, ending }
    }

    /// What to put into the place; `None` where nothing is left to keep.
    pub(super) fn seal(&self, now: Timestamp) -> Option<Put> {
        if self.record.is_none() && self.ending.is_none() {
            return None;
        }
        let deadline = self.record.as_ref().and_then(Record::deadline);
        let forget_after = match (deadline, &self.ending) {
            (Some(deadline), None) => Some(deadline.since(now) + BACKSTOP),
            _ => None,
        };
        Some(Put { bytes: self.bytes(), forget_after })
    }

    /// How it lies in its place: a label, the record's length and bytes, and after that the ending.
    pub(super) fn bytes(&self) -> Bytes {
        let record = self.record.as_ref().map(Record::encode).unwrap_or_default();
        let mut out = BytesMut::with_capacity(LEN + 4 + record.len());
        self.label().write(&mut out);
        // A record is far below four gigabytes: its policy limits it.
        out.put_u32(u32::try_from(record.len()).unwrap_or(u32::MAX));
        out.extend_from_slice(&record);
        if let Some(ending) = &self.ending {
            let reason = ending.reason.as_str();
            out.put_u64(ending.leased_until.millis());
            out.put_u8(u8::try_from(reason.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(reason.as_bytes());
            out.extend_from_slice(&ending.record.0);
        }
        out.freeze()
    }

    fn label(&self) -> Label {
        let mut label = Label::default();
        if let Some(record) = &self.record {
            label.alive_until = record.deadline().unwrap_or(Timestamp::MAX);
            label.over_from = label.alive_until;
        }
        if let Some(ending) = &self.ending {
            label.lapses_at = ending.leased_until;
        }
        label
    }
}

impl Waiting {
    /// The same, leased until then.
    pub(super) fn leased(self, leased_until: Timestamp) -> Self {
        Self { leased_until, ..self }
    }

    /// The ending, as its listeners hear it.
    pub(super) fn ending(&self, key: Key) -> Result<Ending> {
        let record = Record::decode(&self.record.0);
        let record = record.map_err(|source| Error::Unreadable { key, source })?;
        Ok(Ending { key, reason: self.reason, record })
    }
}

fn parse(bytes: &Bytes) -> Result<Envelope, Unreadable> {
    const DAMAGED: Unreadable = Unreadable::Malformed("not what a register keeps of a session");
    let (_, content) = split(bytes).ok_or(DAMAGED)?;
    let mut content = bytes.slice_ref(content);
    let length = content.try_get_u32().map_err(|_| DAMAGED)? as usize;
    if length > content.len() {
        return Err(DAMAGED);
    }
    let record = content.split_to(length);
    let record = if record.is_empty() { None } else { Some(Record::decode(&record)?) };
    let ending = if content.is_empty() { None } else { Some(waiting(content).ok_or(DAMAGED)?) };
    Ok(Envelope { record, ending })
}

fn waiting(mut content: Bytes) -> Option<Waiting> {
    let leased_until = Timestamp::from_millis(content.try_get_u64().ok()?);
    let length = usize::from(content.try_get_u8().ok()?);
    if length > content.len() {
        return None;
    }
    let reason = Ended::from_name(std::str::from_utf8(&content.split_to(length)).ok()?)?;
    Some(Waiting { reason, leased_until, record: Hidden(content) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn session() -> Record {
        let idle = Some(Duration::from_secs(60));
        Record { idle, principal: Some("alice".to_owned()), ..Record::new(None, NOW) }
    }

    fn held(envelope: &Envelope) -> Held {
        Held { bytes: envelope.bytes(), revision: None }
    }

    #[test]
    fn an_envelope_reads_back_with_its_ending() {
        let (key, record) = (Key::random(Kind::Session), session());
        let lease = NOW + Duration::from_secs(9);
        let ended =
            Envelope::of(record.clone()).without(key, Ended::Revoked, Keep::LeasedUntil(lease));
        assert_eq!(held(&ended).label().unwrap(), Label { lapses_at: lease, ..Label::default() });
        let both = Envelope::open(key, &held(&ended)).unwrap().with(record.clone());
        let label = held(&both).label().unwrap();
        assert_eq!((label.alive_until, label.lapses_at), (record.deadline().unwrap(), lease));
        let read = Envelope::open(key, &held(&both)).unwrap();
        let ending = read.ending.as_ref().unwrap().ending(key).unwrap();
        assert_eq!(ending, Ending { key, reason: Ended::Revoked, record: record.clone() });
        assert_eq!(read.record, Some(record));
        let again = read.without(key, Ended::Idle, Keep::Nothing);
        assert!(again.ending.is_some_and(|waiting| waiting.reason == Ended::Revoked));
    }

    #[test]
    fn only_a_living_record_alone_is_forgotten_by_the_backend() {
        let (key, record) = (Key::random(Kind::Session), session());
        let forget_after = |envelope: &Envelope| envelope.seal(NOW).unwrap().forget_after;
        let idle = Duration::from_secs(60);
        assert_eq!(forget_after(&Envelope::of(record.clone())), Some(idle + BACKSTOP));
        assert_eq!(forget_after(&Envelope::of(Record::new(None, NOW))), None);
        let keep = Keep::LeasedUntil(NOW);
        let ended = Envelope::of(record.clone()).without(key, Ended::Idle, keep);
        assert_eq!(forget_after(&ended), None);
        assert!(Envelope::of(record).without(key, Ended::Idle, Keep::Nothing).seal(NOW).is_none());
    }

    #[test]
    fn damaged_bytes_are_an_error_wherever_they_are_cut() {
        let key = Key::random(Kind::Session);
        let ended = Envelope::of(session())
            .without(key, Ended::Idle, Keep::LeasedUntil(NOW))
            .with(session());
        let whole = ended.bytes();
        let ends_at_the_record = Envelope { ending: None, ..ended }.bytes().len();
        for cut in 0..whole.len() {
            let held = Held { bytes: whole.slice(..cut), revision: None };
            if let Ok(read) = Envelope::open(key, &held) {
                let cut_off = read.ending.is_none_or(|ending| ending.ending(key).is_err());
                assert!(cut >= ends_at_the_record && cut_off, "cut at {cut}");
            }
        }
    }
}
