//! A record as bytes: one MessagePack map with one-letter keys, the same in every store.
//!
//! Absent values are left out. Binary values are written as MessagePack strings, the only kind
//! that Redis' Lua writes. A reader keeps the keys that it does not know.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rmp::Marker;
use rmp::{decode, encode};

use super::{CommitId, Field, Fields, Mark, Offered, Record, Superseded};
use crate::time::{Timestamp, millis};
use crate::token::Proof;

/// The format that this version writes, and the newest it can read.
const FORMAT: u64 = 2;
/// How deep an unknown value may nest.
const DEEPEST: u8 = 16;
/// The entries without which a record is none: its mark, format, version, creation.
const REQUIRED: u8 = 0b1111;
/// The instants that are left out where they are that of the creation: of the secret, of the last
/// use.
const SINCE: u8 = 1 << 4;
const TOUCHED: u8 = 1 << 5;

/// The stored bytes are not a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// They are damaged, or something else wrote them.
    #[error("these bytes are not a record: {0}")]
    Malformed(&'static str),
    /// A newer version wrote them in a format that this one cannot read.
    #[error("this record has format {found}; this version reads up to {FORMAT}: upgrade this node")]
    TooNew {
        /// The record's format.
        found: u64,
    },
}

impl Record {
    /// The record as bytes, for a store to keep.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer(Vec::with_capacity(160 + self.size() + 16 * self.fields.len()));
        out.map(self.entries());
        // The mark comes first, always at the same place.
        out.bytes_entry("w", Some(self.mark.as_bytes()));
        out.uint_entry("f", FORMAT);
        out.uint_entry("v", self.version);
        out.bytes_entry("p", self.proof.as_ref().map(|proof| proof.as_bytes().as_slice()));
        out.optional_entry("r", self.since_creation(self.proof_since));
        out.superseded(&self.superseded);
        out.offered(self.next.as_ref());
        out.bytes_entry("u", self.principal.as_ref().map(String::as_bytes));
        out.optional_entry("a", self.authenticated_at.map(Timestamp::millis));
        out.uint_entry("c", self.created_at.millis());
        out.optional_entry("t", self.since_creation(self.touched_at));
        out.optional_entry("i", self.idle.map(millis));
        out.optional_entry("e", self.ends_at.map(Timestamp::millis));
        out.fields(&self.fields);
        for (key, value) in &self.unknown {
            out.str(key.as_bytes());
            out.0.extend_from_slice(value);
        }
        Bytes::from(out.0)
    }

    /// What a record as it is kept has behind the first byte, as long as it is this one. Not where
    /// it has more entries than a head of one byte tells; then nothing like it is there.
    pub fn marked(&self) -> [u8; 3 + size_of::<Mark>()] {
        let mut marked = *b"\xa1w\xa8........";
        marked[3..].copy_from_slice(self.mark.as_bytes());
        marked
    }

    /// An instant, where it is not that of the creation.
    fn since_creation(&self, at: Timestamp) -> Option<u64> {
        (at != self.created_at).then_some(at.millis())
    }

    fn entries(&self) -> usize {
        let optional = [
            self.proof.is_some(),
            self.proof_since != self.created_at,
            self.touched_at != self.created_at,
            !self.fields.is_empty(),
            !self.superseded.is_empty(),
            self.next.is_some(),
            self.principal.is_some(),
            self.authenticated_at.is_some(),
            self.idle.is_some(),
            self.ends_at.is_some(),
        ];
        4 + optional.into_iter().filter(|is_there| *is_there).count() + self.unknown.len()
    }

    /// Reads what [`Record::encode`] or the Redis script has written. The fields share `bytes`:
    /// only names are copied.
    pub fn decode(bytes: &Bytes) -> Result<Self, Unreadable> {
        let mut input = Reader { bytes, rest: bytes };
        let mut record = Self::blank();
        let mut seen = 0;
        for _ in 0..input.map()? {
            seen |= record.read_entry(&mut input)?;
        }
        // What is not said is as at the creation.
        if seen & SINCE == 0 {
            record.proof_since = record.created_at;
        }
        if seen & TOUCHED == 0 {
            record.touched_at = record.created_at;
        }
        match (seen & REQUIRED, input.rest) {
            (REQUIRED, []) => Ok(record),
            (REQUIRED, _) => Err(Unreadable::Malformed("there is more behind it")),
            _ => Err(Unreadable::Malformed("a part is missing")),
        }
    }

    /// A record of which nothing is known yet.
    fn blank() -> Self {
        Self {
            version: 0,
            mark: Mark::default(),
            proof: None,
            proof_since: Timestamp::EPOCH,
            superseded: Vec::new(),
            next: None,
            principal: None,
            authenticated_at: None,
            created_at: Timestamp::EPOCH,
            touched_at: Timestamp::EPOCH,
            idle: None,
            ends_at: None,
            fields: Fields::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// Reads one entry; which it was, as a bit, where that matters.
    fn read_entry(&mut self, input: &mut Reader<'_>) -> Result<u8, Unreadable> {
        match input.text()? {
            "f" => {
                input.format()?;
                return Ok(1);
            }
            "v" => {
                self.version = input.uint()?;
                return Ok(1 << 1);
            }
            "c" => {
                self.created_at = input.instant()?;
                return Ok(1 << 2);
            }
            "w" => {
                self.mark = Mark::from_bytes(input.str()?)
                    .ok_or(Unreadable::Malformed("a mark is not 8 bytes"))?;
                return Ok(1 << 3);
            }
            "t" => {
                self.touched_at = input.instant()?;
                return Ok(TOUCHED);
            }
            "r" => {
                self.proof_since = input.instant()?;
                return Ok(SINCE);
            }
            "p" => self.proof = Some(input.proof()?),
            "s" => self.superseded = input.superseded()?,
            "n" => self.next = Some(input.offered()?),
            "u" => self.principal = Some(input.text()?.to_owned()),
            "a" => self.authenticated_at = Some(input.instant()?),
            "i" => self.idle = Some(Duration::from_millis(input.uint()?)),
            "e" => self.ends_at = Some(input.instant()?),
            "d" => self.fields = input.fields()?,
            name => {
                let name = name.to_owned();
                self.unknown.insert(name, input.raw()?);
            }
        }
        Ok(0)
    }
}

/// Writes MessagePack into memory, which cannot fail.
struct Writer(Vec<u8>);

impl Writer {
    fn map(&mut self, entries: usize) {
        let _ = encode::write_map_len(&mut self.0, length(entries));
    }

    fn array(&mut self, items: usize) {
        let _ = encode::write_array_len(&mut self.0, length(items));
    }

    fn uint(&mut self, value: u64) {
        let _ = encode::write_uint(&mut self.0, value);
    }

    fn str(&mut self, bytes: &[u8]) {
        let _ = encode::write_str_len(&mut self.0, length(bytes.len()));
        self.0.extend_from_slice(bytes);
    }

    fn uint_entry(&mut self, key: &str, value: u64) {
        self.str(key.as_bytes());
        self.uint(value);
    }

    fn optional_entry(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.uint_entry(key, value);
        }
    }

    fn bytes_entry(&mut self, key: &str, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.str(key.as_bytes());
            self.str(value);
        }
    }

    fn superseded(&mut self, all: &[Superseded]) {
        if all.is_empty() {
            return;
        }
        self.str(b"s");
        self.array(all.len());
        for old in all {
            self.array(3);
            self.str(old.proof.as_bytes());
            self.uint(old.until.millis());
            self.uint(u64::from(old.admitted));
        }
    }

    fn offered(&mut self, next: Option<&Offered>) {
        if let Some(next) = next {
            self.str(b"n");
            self.array(2);
            self.str(next.proof.as_bytes());
            self.uint(next.at.millis());
        }
    }

    /// Writes fields by the commit that wrote them: what one has written together says so once.
    fn fields(&mut self, fields: &Fields) {
        if fields.is_empty() {
            return;
        }
        let mut commits: Vec<CommitId> = fields.values().map(|field| field.version).collect();
        commits.sort_unstable();
        commits.dedup();
        self.str(b"d");
        self.map(commits.len());
        for commit in commits {
            let of_it = || fields.iter().filter(|(_, field)| field.version == commit);
            self.str(commit.as_bytes());
            self.map(of_it().count());
            for (name, field) in of_it() {
                self.str(name.as_bytes());
                self.str(&field.bytes);
            }
        }
    }
}

/// MessagePack counts in 32 bits; limits keep a record far below.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

struct Reader<'a> {
    bytes: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn format(&mut self) -> Result<(), Unreadable> {
        match self.uint()? {
            FORMAT => Ok(()),
            found if found > FORMAT => Err(Unreadable::TooNew { found }),
            _ => Err(Unreadable::Malformed("it is of an earlier format")),
        }
    }

    /// The number of entries. Redis' Lua writes an empty map as an empty array.
    fn map(&mut self) -> Result<u32, Unreadable> {
        if let Some(rest) = self.rest.strip_prefix(&[Marker::FixArray(0).to_u8()]) {
            self.rest = rest;
            return Ok(0);
        }
        decode::read_map_len(&mut self.rest).map_err(|_| Unreadable::Malformed("expected a map"))
    }

    fn array(&mut self) -> Result<u32, Unreadable> {
        decode::read_array_len(&mut self.rest)
            .map_err(|_| Unreadable::Malformed("expected an array"))
    }

    fn tuple(&mut self, items: u32) -> Result<(), Unreadable> {
        match self.array()? {
            len if len == items => Ok(()),
            _ => Err(Unreadable::Malformed("expected an array of another length")),
        }
    }

    fn uint(&mut self) -> Result<u64, Unreadable> {
        decode::read_int(&mut self.rest).map_err(|_| Unreadable::Malformed("expected a number"))
    }

    fn instant(&mut self) -> Result<Timestamp, Unreadable> {
        self.uint().map(Timestamp::from_millis)
    }

    fn str(&mut self) -> Result<&'a [u8], Unreadable> {
        let len = decode::read_str_len(&mut self.rest)
            .map_err(|_| Unreadable::Malformed("expected a string"))?;
        self.take(len as usize)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) =
            self.rest.split_at_checked(len).ok_or(Unreadable::Malformed("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<&'a str, Unreadable> {
        std::str::from_utf8(self.str()?).map_err(|_| Unreadable::Malformed("a name is not UTF-8"))
    }

    fn proof(&mut self) -> Result<Proof, Unreadable> {
        Proof::from_bytes(self.str()?).ok_or(Unreadable::Malformed("a proof is not 32 bytes"))
    }

    fn superseded(&mut self) -> Result<Vec<Superseded>, Unreadable> {
        (0..self.array()?)
            .map(|_| {
                self.tuple(3)?;
                Ok(Superseded {
                    proof: self.proof()?,
                    until: self.instant()?,
                    admitted: self.uint()? != 0,
                })
            })
            .collect()
    }

    fn offered(&mut self) -> Result<Offered, Unreadable> {
        self.tuple(2)?;
        Ok(Offered { proof: self.proof()?, at: self.instant()? })
    }

    fn commit(&mut self) -> Result<CommitId, Unreadable> {
        CommitId::from_bytes(self.str()?).ok_or(Unreadable::Malformed("a version is not 8 bytes"))
    }

    fn fields(&mut self) -> Result<Fields, Unreadable> {
        let mut fields = Vec::new();
        for _ in 0..self.map()? {
            let version = self.commit()?;
            for _ in 0..self.map()? {
                let name: Arc<str> = self.text()?.into();
                let bytes = self.bytes.slice_ref(self.str()?);
                fields.push((name, Field { version, bytes }));
            }
        }
        fields.shrink_to_fit();
        Ok(fields.into_iter().collect())
    }

    /// The bytes of whatever value comes next.
    fn raw(&mut self) -> Result<Bytes, Unreadable> {
        let before = self.rest;
        self.skip(DEEPEST)?;
        Ok(self.bytes.slice_ref(&before[..before.len() - self.rest.len()]))
    }

    fn skip(&mut self, depth: u8) -> Result<(), Unreadable> {
        let depth = depth.checked_sub(1).ok_or(Unreadable::Malformed("it nests too deep"))?;
        let (bytes, values) = self.extent()?;
        self.take(bytes)?;
        (0..values).try_for_each(|_| self.skip(depth))
    }

    /// Reads a value's head: how many bytes and how many values belong to it.
    fn extent(&mut self) -> Result<(usize, usize), Unreadable> {
        let marker = decode::read_marker(&mut self.rest)
            .map_err(|_| Unreadable::Malformed("it ends too early"))?;
        Ok(match marker {
            Marker::Null | Marker::True | Marker::False => (0, 0),
            Marker::FixPos(_) | Marker::FixNeg(_) => (0, 0),
            Marker::U8 | Marker::I8 => (1, 0),
            Marker::U16 | Marker::I16 => (2, 0),
            Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
            Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
            Marker::FixStr(len) => (len.into(), 0),
            Marker::Str8 | Marker::Bin8 => (self.count(1)?, 0),
            Marker::Str16 | Marker::Bin16 => (self.count(2)?, 0),
            Marker::Str32 | Marker::Bin32 => (self.count(4)?, 0),
            Marker::FixArray(len) => (0, len.into()),
            Marker::Array16 => (0, self.count(2)?),
            Marker::Array32 => (0, self.count(4)?),
            Marker::FixMap(len) => (0, 2 * usize::from(len)),
            Marker::Map16 => (0, 2 * self.count(2)?),
            Marker::Map32 => (0, 2 * self.count(4)?),
            _ => return Err(Unreadable::Malformed("an unknown value of an unknown type")),
        })
    }

    fn count(&mut self, width: usize) -> Result<usize, Unreadable> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().fold(0, |count, byte| (count << 8) | usize::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Secret;
    use proptest::prelude::*;

    fn full() -> Record {
        let at = Timestamp::from_millis(1_763_600_000_000);
        let mut record = Record::new(Some(Secret::random().proof()), at);
        record.version = 7;
        let old = Superseded { proof: Secret::random().proof(), until: at, admitted: true };
        record.superseded = vec![old, Superseded { admitted: false, ..old }];
        record.next = Some(Offered { proof: Secret::random().proof(), at });
        record.principal = Some("alice".to_owned());
        record.authenticated_at = Some(at);
        record.idle = Some(Duration::from_secs(1800));
        record.ends_at = Some(Timestamp::MAX);
        for (name, bytes) in [("cart", vec![7; 300]), ("visits", b"1".to_vec())] {
            let field = Field { version: CommitId::random(), bytes: bytes.into() };
            record.fields.insert(name, field);
        }
        record
    }

    #[test]
    fn a_record_reads_back_as_itself() {
        for record in [full(), Record::new(None, Timestamp::from_millis(1))] {
            assert_eq!(Record::decode(&record.encode()), Ok(record));
        }
    }

    #[test]
    fn what_a_newer_version_wrote_beside_is_kept() {
        let mut newer = full();
        // {"z": ["new", {"k": 1.5}]}
        let value = b"\x92\xa3new\x81\xa1k\xcb\x3f\xf8\0\0\0\0\0\0";
        newer.unknown.insert("z".to_owned(), Bytes::from_static(value));
        let read = Record::decode(&newer.encode()).unwrap();
        assert_eq!(read.encode(), newer.encode());
        assert_eq!(read, newer);
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let mut bytes = full().encode().to_vec();
        let format = bytes.windows(2).position(|pair| pair == b"\xa1f").unwrap() + 2;
        bytes[format] = 9;
        assert_eq!(Record::decode(&bytes.into()), Err(Unreadable::TooNew { found: 9 }));
    }

    #[test]
    fn a_cut_record_is_refused_at_every_length() {
        let bytes = full().encode();
        for len in 0..bytes.len() {
            assert!(Record::decode(&bytes.slice(..len)).is_err(), "{len} of {} bytes", bytes.len());
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(at in 0usize..700, byte: u8, noise: Vec<u8>) {
            let mut bytes = full().encode().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Record::decode(&bytes.into());
            let _ = Record::decode(&noise.into());
        }
    }
}
