//! Where things are in Redis: the names of all keys, and what is under each.
//!
//! `<prefix>` tells applications on one server apart. `{3f}` is the bucket, the first byte of a
//! key's id or of a principal's digest, in braces: Redis Cluster keeps what shares it in one slot,
//! so every script works on one node. There are 256 buckets.
//!
//! | name | type | what |
//! |---|---|---|
//! | `<prefix>{3f}:s-<id>` | string | one record, as [`Record::encode`] writes it; the rest of the name is the key's text |
//! | `<prefix>{3f}:deadlines:s:7` | sorted set | the bucket's keys of one kind, in a sixteenth of them by the id's second byte: id, scored by deadline in milliseconds, `+inf` for never. Kinds of which there are few are not split: `deadlines:a` |
//! | `<prefix>{3f}:leases` | sorted set | endings not acknowledged yet: id, scored by the end of its lease |
//! | `<prefix>{3f}:endings` | hash | the same ids; a reason, `:`, the record's bytes |
//! | `<prefix>{3f}:nothing` | none | what is deleted to see whether the server still may |
//! | `<prefix>{3f}:seats:<digest>` | hash | a principal's seats: key's text, `p<lapse>:<nonce>` pending or `c<login>` confirmed; under the empty name the id of the last bar |
//!
//! A sorted set of up to 128 entries takes a third of the memory that a larger one does: split in
//! sixteen, those of half a million sessions stay below.
//!
//! A record's string expires 24 hours after its deadline, counted by the server from the last
//! write: a backstop for a time in which nobody sweeps, never the mechanism.
//!
//! [`Record::encode`]: cloakroom_core::Record::encode

use std::fmt::Write;

use cloakroom_core::{Key, Kind, Timestamp};

/// How many buckets there are: one for each value of a byte.
pub(crate) const BUCKETS: usize = 256;

/// The digits of a bucket in its tag.
pub(crate) const DIGITS: [u8; 16] = *b"0123456789abcdef";
/// Bytes of a key's text, and of an index's name behind its bucket.
const RECORD_LEN: usize = 26;
const INDEX_LEN: usize = 13;

/// How many parts a bucket's index of sessions has.
const PARTS: u8 = 16;

/// One index of deadlines: some of a bucket's keys of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Index {
    pub(crate) bucket: u8,
    pub(crate) kind: Kind,
    part: u8,
}

impl Index {
    /// The index that a key is in.
    pub(crate) fn of(key: Key) -> Self {
        let parts = parts(key.kind());
        Self { bucket: bucket_of(key), kind: key.kind(), part: key.as_bytes()[1] % parts }
    }

    /// All indexes of a bucket's keys of one kind.
    pub(crate) fn all(bucket: u8, kind: Kind) -> impl Iterator<Item = Self> {
        (0..parts(kind)).map(move |part| Self { bucket, kind, part })
    }
}

const fn parts(kind: Kind) -> u8 {
    if matches!(kind, Kind::Session) { PARTS } else { 1 }
}

/// How long after its deadline a record's string expires by itself, in milliseconds.
const BACKSTOP: u64 = 24 * 60 * 60 * 1000;

/// Names keys under one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    prefix: String,
}

impl Layout {
    pub(crate) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// What every name begins with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What the names in a bucket begin with, with room for so much more.
    fn begin(&self, bucket: u8, room: usize) -> String {
        let mut name = String::with_capacity(self.prefix.len() + 5 + room);
        name.push_str(&self.prefix);
        name.push('{');
        name.push(char::from(DIGITS[usize::from(bucket / 16)]));
        name.push(char::from(DIGITS[usize::from(bucket % 16)]));
        name.push_str("}:");
        name
    }

    /// A record.
    pub(crate) fn record(&self, key: Key) -> String {
        let mut name = self.begin(bucket_of(key), RECORD_LEN);
        // Writing to a string does not fail.
        let _ = write!(name, "{key}");
        name
    }

    /// The key of the record that a name is of; `None` for every other name.
    pub(crate) fn key_of(&self, name: &[u8]) -> Option<Key> {
        let rest = name.strip_prefix(self.prefix.as_bytes())?;
        let (tag, rest) = rest.split_at_checked(4)?;
        let text = rest.strip_prefix(b":").filter(|_| tag[0] == b'{' && tag[3] == b'}')?;
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    /// A name in a bucket that never has anything under it.
    pub(crate) fn nothing(&self, bucket: u8) -> String {
        format!("{}{{{bucket:02x}}}:nothing", self.prefix)
    }

    /// Keys by their deadlines.
    pub(crate) fn deadlines(&self, Index { bucket, kind, part }: Index) -> String {
        let mut name = self.begin(bucket, INDEX_LEN);
        name.push_str("deadlines:");
        name.push(kind.letter());
        if parts(kind) > 1 {
            name.push(':');
            name.push(char::from(DIGITS[usize::from(part % 16)]));
        }
        name
    }

    /// A bucket's endings, by the end of their leases.
    pub(crate) fn leases(&self, bucket: u8) -> String {
        format!("{}{{{bucket:02x}}}:leases", self.prefix)
    }

    /// What a bucket's endings held.
    pub(crate) fn endings(&self, bucket: u8) -> String {
        format!("{}{{{bucket:02x}}}:endings", self.prefix)
    }

    /// A principal's seats. The name says nothing of who it is: it holds a digest.
    pub(crate) fn seats(&self, principal: &str) -> String {
        let digest = Key::named(Kind::Session, principal);
        let (prefix, bucket, text) = (&self.prefix, bucket_of(digest), digest.to_string());
        format!("{prefix}{{{bucket:02x}}}:seats:{}", &text[2..])
    }
}

/// Which bucket a key lives in. Ids are random, or a digest: the first byte spreads evenly.
pub(crate) const fn bucket_of(key: Key) -> u8 {
    key.as_bytes()[0]
}

/// Which bucket a name is in: what stands in its braces. A prefix has none.
pub(crate) fn bucket_in(name: &str) -> u8 {
    let tag = name.split_once('{').and_then(|(_, rest)| rest.get(..2));
    tag.and_then(|tag| u8::from_str_radix(tag, 16).ok()).unwrap_or(0)
}

/// A deadline as a score.
pub(crate) fn score(deadline: Option<Timestamp>) -> String {
    deadline.map_or_else(|| "+inf".to_owned(), |at| at.millis().to_string())
}

/// For how long from `now` on a record's string may stay, in milliseconds; empty: for ever.
pub(crate) fn backstop(deadline: Option<Timestamp>, now: Timestamp) -> String {
    deadline.map_or_else(String::new, |at| {
        (at.millis().saturating_sub(now.millis()) + BACKSTOP).to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_shares_a_hash_tag() {
        let layout = Layout::new("app:".to_owned());
        let key = Key::from_bytes(Kind::Session, &[0x3f; 18]).unwrap();
        assert_eq!(layout.record(key), "app:{3f}:s-Pz8_Pz8_Pz8_Pz8_Pz8_Pz8_");
        assert_eq!(layout.deadlines(Index::of(key)), "app:{3f}:deadlines:s:f");
        let indexes: Vec<_> = Kind::ALL.iter().map(|kind| Index::all(0, *kind).count()).collect();
        assert_eq!(indexes.iter().sum::<usize>(), 16 + Kind::ALL.len() - 1);
        assert_eq!(layout.leases(0x0f), "app:{0f}:leases");
        assert_eq!(layout.endings(0x0f), "app:{0f}:endings");
        assert_eq!(bucket_in(&layout.record(key)), 0x3f);
        assert_eq!(bucket_in(&layout.endings(0xff)), 0xff);
    }

    #[test]
    fn a_record_is_known_by_its_name() {
        let layout = Layout::new("app:".to_owned());
        let key = Key::random(Kind::Session);
        assert_eq!(layout.key_of(layout.record(key).as_bytes()), Some(key));
        let others = [
            layout.deadlines(Index::of(key)),
            layout.nothing(7),
            layout.seats("alice"),
            format!("other:{{3f}}:{key}"),
            format!("app:3f:{key}"),
            "app:{".to_owned(),
            String::new(),
        ];
        for other in others {
            assert_eq!(layout.key_of(other.as_bytes()), None, "{other}");
        }
        assert_eq!(layout.key_of(b"app:{3f}:\xff"), None);
    }

    #[test]
    fn a_principal_is_not_named() {
        let name = Layout::new("app:".to_owned()).seats("alice@example.org");
        assert!(name.starts_with("app:{") && name.contains("}:seats:"), "{name}");
        assert!(!name.contains("alice"));
        assert_eq!(name.len(), "app:{3f}:seats:".len() + 24);
    }

    #[test]
    fn the_backstop_is_a_day_behind_the_deadline() {
        let (now, later) = (Timestamp::from_millis(500), Timestamp::from_millis(700));
        assert_eq!(backstop(Some(later), now), "86400200");
        assert_eq!(backstop(Some(now), later), "86400000");
        assert_eq!(backstop(None, now), "");
        assert_eq!(score(Some(Timestamp::MAX)), "9007199254740991");
    }
}
