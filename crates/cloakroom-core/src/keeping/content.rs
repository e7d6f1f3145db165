//! What is inside a seal: a session's key, its user's epoch and its record, as few bytes.
//!
//! ```text
//! key        18 bytes
//! epoch      8 bytes
//! record     2 bytes of length, and a record without fields and secrets, as every store keeps it
//! fields     2 bytes of count; of each: a byte that says whether its value is deflated, 2 bytes of
//!            length and the name, 2 bytes of length and the value
//! padding    0x80 and zeros, to whole blocks of 32 bytes
//! ```
//!
//! Every value is deflated by itself, so that the length of a seal never tells how much of one
//! attribute is found in another; and blocks tell less of it.

use std::sync::Arc;

use bytes::Bytes;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::seal;
use crate::commit::Limit;
use crate::record::{CommitId, Field, Fields, Mark, Record};
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// Seals are as long as so many bytes of content, times a whole number.
const BLOCK: usize = 32;
/// Shorter values are not worth the time.
const WORTH_DEFLATING: usize = 128;
const LEVEL: u8 = 6;
/// The most bytes of all attributes of a session, names included, before they are deflated; and so
/// the most that a seal can swell to.
const MOST_OPENED: usize = u16::MAX as usize;
const KEY: usize = 18;
const EPOCH: usize = 8;
/// Bytes of a field beside its name and its value.
const FIELD: usize = 1 + 2 + 2;
const DEFLATED: u8 = 1;

/// A session as it travels.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) key: Key,
    /// Its user's epoch when they signed in; 0 where nobody is, or no epochs are kept.
    pub(super) epoch: u64,
    pub(super) record: Arc<Record>,
}

impl Content {
    /// The bytes to seal. `None` where lengths do not fit into their places, which is far too much.
    pub(super) fn encode(&self, compress: bool) -> Option<Vec<u8>> {
        let header = header(&self.record).encode();
        let mut out = Vec::with_capacity(KEY + EPOCH + header.len() + self.record.size() + BLOCK);
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        put(&mut out, &header)?;
        let count = u16::try_from(self.record.fields.len()).ok()?;
        out.extend_from_slice(&count.to_be_bytes());
        for (name, field) in self.record.fields.iter() {
            let deflated = deflated(&field.bytes, compress);
            out.push(if deflated.is_some() { DEFLATED } else { 0 });
            put(&mut out, name.as_bytes())?;
            put(&mut out, deflated.as_deref().unwrap_or(&field.bytes))?;
        }
        out.push(0x80);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
        Some(out)
    }

    /// Reads what was sealed. `None` where this version would not have written it.
    pub(super) fn decode(sealed: Vec<u8>) -> Option<Self> {
        let plain = unpadded(&sealed)?;
        let bytes = Bytes::from(sealed).slice(..plain);
        let mut input = Input(bytes);
        let key = Key::from_bytes(Kind::Session, &input.take(KEY)?)?;
        let epoch = u64::from_be_bytes(input.take(EPOCH)?.as_ref().try_into().ok()?);
        let mut record = Record::decode(&input.part()?).ok()?;
        record.fields = input.fields()?;
        input.0.is_empty().then(|| Self { key, epoch, record: Arc::new(record) })
    }
}

/// Whether `record` fits into a text of `most` characters, whatever time and use still add to it.
pub(super) fn check(record: &Record, most: usize, compress: bool) -> Result<(), Limit> {
    let blocks = seal::room(most) / BLOCK * BLOCK;
    // One byte of padding at the least.
    let room = blocks.saturating_sub(1);
    let around = KEY + EPOCH + 2 + largest_header(record) + 2;
    let plain: usize = record.fields.len() * FIELD + record.size();
    let too_much = plain.max(record.size()).saturating_sub(MOST_OPENED);
    if too_much == 0 && around + plain <= room {
        return Ok(());
    }
    let saved: usize = record.fields.values().map(|field| saved(&field.bytes, compress)).sum();
    let over = (around + plain - saved).saturating_sub(room).max(too_much);
    match over {
        0 => Ok(()),
        over => Err(Limit::Sealed { over, most }),
    }
}

/// The record without its fields, and without what only a stored one needs: secrets, and marks that
/// tell one writing from another.
fn header(record: &Record) -> Record {
    Record {
        mark: Mark::default(),
        proof: None,
        proof_since: record.created_at,
        superseded: Vec::new(),
        next: None,
        fields: Fields::new(),
        principal: record.principal.clone(),
        unknown: record.unknown.clone(),
        ..*record
    }
}

/// The bytes of the longest header that this record can come to have without another login or
/// attribute: a use must never find that there is no room for it.
fn largest_header(record: &Record) -> usize {
    let mut largest = header(record);
    largest.version = u64::MAX;
    largest.touched_at = Timestamp::MAX;
    largest.idle = Some(Timestamp::MAX.since(Timestamp::EPOCH));
    largest.ends_at = Some(Timestamp::MAX);
    largest.encode().len()
}

fn deflated(value: &[u8], compress: bool) -> Option<Vec<u8>> {
    if !compress || value.len() < WORTH_DEFLATING {
        return None;
    }
    Some(compress_to_vec(value, LEVEL)).filter(|deflated| deflated.len() < value.len())
}

fn saved(value: &[u8], compress: bool) -> usize {
    deflated(value, compress).map_or(0, |deflated| value.len() - deflated.len())
}

/// Appends a part and, before it, its length.
fn put(out: &mut Vec<u8>, part: &[u8]) -> Option<()> {
    out.extend_from_slice(&u16::try_from(part.len()).ok()?.to_be_bytes());
    out.extend_from_slice(part);
    Some(())
}

/// Where the padding begins.
fn unpadded(sealed: &[u8]) -> Option<usize> {
    let end = sealed.iter().rposition(|byte| *byte != 0)?;
    (sealed[end] == 0x80).then_some(end)
}

struct Input(Bytes);

impl Input {
    fn take(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn number(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_be_bytes(self.take(2)?.as_ref().try_into().ok()?)))
    }

    fn part(&mut self) -> Option<Bytes> {
        let length = self.number()?;
        self.take(length)
    }

    fn fields(&mut self) -> Option<Fields> {
        // All were written by nobody in particular: what is expected of one is that it is there.
        let version = CommitId::from_number(0);
        let mut room = MOST_OPENED;
        (0..self.number()?)
            .map(|_| {
                let deflated = *self.take(1)?.first()? == DEFLATED;
                let (name, value) = (self.part()?, self.part()?);
                let name = str::from_utf8(&name).ok()?.to_owned();
                room = room.checked_sub(name.len())?;
                let bytes = match deflated {
                    true => decompress_to_vec_with_limit(&value, room).ok()?.into(),
                    false => value,
                };
                room = room.checked_sub(bytes.len())?;
                Some((name, Field { version, bytes }))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn record(fields: &[(&str, &[u8])]) -> Record {
        let mut record = Record::new(None, NOW);
        record.mark = Mark::default();
        record.idle = Some(Duration::from_secs(1800));
        record.ends_at = Some(NOW + Duration::from_secs(12 * 3600));
        for (name, value) in fields {
            let bytes = Bytes::copy_from_slice(value);
            record.fields.insert(*name, Field { version: CommitId::from_number(0), bytes });
        }
        record
    }

    fn content(record: Record) -> Content {
        Content { key: Key::random(Kind::Session), epoch: 7, record: Arc::new(record) }
    }

    #[test]
    fn it_reads_back_as_it_was() {
        let long = "to be repeated ".repeat(200);
        let mut record = record(&[("a", b"1"), ("long", long.as_bytes()), ("", b"")]);
        record.principal = Some("ada".to_owned());
        record.unknown.insert("z".to_owned(), Bytes::from_static(b"\x01"));
        let content = content(record);
        for compress in [false, true] {
            let bytes = content.encode(compress).unwrap();
            assert_eq!(bytes.len() % BLOCK, 0);
            assert_eq!(compress, bytes.len() < long.len());
            let back = Content::decode(bytes).unwrap();
            assert_eq!((back.key, back.epoch), (content.key, 7));
            assert_eq!(back.record, content.record);
        }
    }

    #[test]
    fn a_seal_holds_no_secret_of_a_stored_record() {
        let mut record = record(&[]);
        record.proof = Some(crate::token::Secret::random().proof());
        let proof = record.proof.unwrap();
        let bytes = content(record).encode(true).unwrap();
        assert!(!bytes.windows(8).any(|window| window == &proof.as_bytes()[..8]));
        assert_eq!(Content::decode(bytes).unwrap().record.proof, None);
    }

    #[test]
    fn what_one_attribute_says_of_another_does_not_show() {
        let secret = format!("\"{}\"", "f3a91c77e04b5d26".repeat(12));
        let length = |guess: &str| {
            let record = record(&[("secret", secret.as_bytes()), ("guess", guess.as_bytes())]);
            content(record).encode(true).unwrap().len()
        };
        let wrong = format!("\"{}\"", "0d17b5a2c9e84f63".repeat(12));
        assert_eq!(length(&secret), length(&wrong));
    }

    #[test]
    fn a_small_seal_does_not_swell_without_end() {
        let swollen = vec![b' '; MOST_OPENED];
        let content = content(record(&[("a", &swollen)]));
        assert!(matches!(check(&content.record, 4096, true), Err(Limit::Sealed { .. })));
        let bytes = content.encode(true).unwrap();
        assert!(bytes.len() < 512);
        assert!(Content::decode(bytes).is_none());
    }

    #[test]
    fn what_fits_is_sealed_within_its_limit_and_what_does_not_says_by_how_much() {
        for most in [200, 1000, 4067, 4096] {
            let fitting = (0..4096)
                .rev()
                .find(|length| check(&record(&[("a", &vec![b'x'; *length])]), most, false).is_ok());
            let Some(fitting) = fitting else {
                assert_eq!(most, 200, "an empty session takes about that");
                continue;
            };
            let mut fits = record(&[("a", &vec![b'x'; fitting])]);
            fits.version = u64::MAX;
            fits.touched_at = Timestamp::MAX;
            let bytes = content(fits).encode(false).unwrap();
            assert!(bytes.len() <= seal::room(most) && bytes.len() + BLOCK > seal::room(most));
            let more = record(&[("a", &vec![b'x'; fitting + 9])]);
            assert_eq!(check(&more, most, false), Err(Limit::Sealed { over: 9, most }));
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_no_content(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Content::decode(bytes);
        }

        #[test]
        fn damaged_content_never_panics(at in 0_usize..200, byte in any::<u8>()) {
            let record = record(&[("a", b"1"), ("b", &[b'x'; 200])]);
            let mut bytes = content(record).encode(true).unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Content::decode(bytes);
        }
    }
}
