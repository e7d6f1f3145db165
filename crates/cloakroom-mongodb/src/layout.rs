//! How a place lies in a document, and what is asked of one. Pure.

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::record::CommitId;
use cloakroom_core::store::{Due, Held, Place, Put};
use cloakroom_core::{Key, Kind, Timestamp};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawDocument, doc};

/// What a document that is no place's is called, before its node's own name: see the feed.
pub(crate) const BEAT: &str = "beat-";
/// To what the server's time to forget something is rounded up, in milliseconds: most commits then
/// leave the index of these times as it is.
const HOUR: i64 = 60 * 60 * 1000;

/// Which document a condition and an update are for, and what it has to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From<'a> {
    /// Nothing.
    Nothing,
    /// What has this revision.
    Revision(i64),
    /// These bytes.
    Bytes(&'a Bytes),
}

impl<'a> From<'a> {
    pub(crate) fn of(from: Option<&'a Held>) -> Self {
        let Some(held) = from else {
            return Self::Nothing;
        };
        let revision = held.revision.and_then(|revision| i64::try_from(revision).ok());
        revision.map_or(Self::Bytes(&held.bytes), Self::Revision)
    }

    /// Whether this is what is there.
    pub(crate) fn is(&self, there: Option<&Held>) -> bool {
        match (self, there) {
            (Self::Nothing, None) => true,
            (Self::Revision(own), Some(held)) => {
                held.revision.is_some_and(|revision| i64::try_from(revision) == Ok(*own))
            }
            (Self::Bytes(bytes), Some(held)) => held.bytes == **bytes,
            _ => false,
        }
    }

    /// The question whether a document holds this, as the server answers it.
    fn holds(&self) -> Document {
        match self {
            Self::Nothing => doc! { "$eq": [{ "$type": "$revision" }, "missing"] },
            Self::Revision(own) => doc! { "$eq": ["$revision", *own] },
            Self::Bytes(bytes) => doc! { "$eq": ["$bytes", binary(bytes)] },
        }
    }

    /// Finds the place's document where it holds this.
    pub(crate) fn filter(&self, place: Place) -> Document {
        let mut filter = named(place);
        match self {
            Self::Nothing => filter.insert("revision", doc! { "$exists": false }),
            Self::Revision(own) => filter.insert("revision", *own),
            Self::Bytes(bytes) => filter.insert("bytes", binary(bytes)),
        };
        filter
    }

    /// Replaces the document by `to` where it holds this, and leaves it as it is otherwise.
    pub(crate) fn replace(&self, to: Document) -> Vec<Document> {
        vec![doc! { "$replaceWith": { "$cond": [self.holds(), to, "$$ROOT"] } }]
    }
}

/// A revision that no other content of a place has.
pub(crate) fn revision() -> i64 {
    let id = CommitId::random();
    let random = id.as_bytes().first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    i64::try_from(random >> 1).unwrap_or(i64::MAX)
}

/// Finds a place's document.
pub(crate) fn named(place: Place) -> Document {
    doc! { "_id": place.to_string() }
}

/// What is read of a place.
pub(crate) fn contents() -> Document {
    doc! { "_id": 0, "revision": 1, "bytes": 1 }
}

/// What comes back of a document that now has this revision, or was left as it is: the bytes only
/// where they are news.
pub(crate) fn news(own: i64) -> Document {
    let bytes = doc! { "$cond": [{ "$eq": ["$revision", own] }, "$$REMOVE", "$bytes"] };
    doc! { "_id": 0, "revision": 1, "bytes": bytes }
}

/// Whether a document has this revision.
pub(crate) fn has(document: &RawDocument, own: i64) -> bool {
    document.get_i64("revision").is_ok_and(|found| found == own)
}

/// The document of a place with `put` in it, as an expression.
pub(crate) fn document(place: Place, put: &Put, revision: i64) -> Document {
    let mut document = named(place);
    let label = put.label();
    if let Place::Record(key) = place {
        document.insert("kind", letter(key.kind()));
        document.insert("alive_until", millis(label.alive_until));
    }
    for (name, at) in [("over_from", label.over_from), ("lapses_at", label.lapses_at)] {
        if at != Timestamp::MAX {
            document.insert(name, millis(at));
        }
    }
    if let Some(after) = put.forget_after {
        document.insert("forget_at", forget_at(after));
    }
    document.insert("bytes", binary(&put.bytes));
    document.insert("revision", revision);
    document
}

/// When the server may forget a document, by its own clock.
pub(crate) fn forget_at(after: Duration) -> Document {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX).min(millis(Timestamp::MAX));
    let this_hour = doc! { "$subtract": ["$$NOW", { "$mod": [{ "$toLong": "$$NOW" }, HOUR] }] };
    doc! { "$add": [this_hour, after.saturating_add(HOUR)] }
}

/// What a document holds.
pub(crate) fn held(document: &RawDocument) -> Held {
    let bytes = document.get_binary("bytes").map(|binary| Bytes::copy_from_slice(binary.bytes));
    let revision = document.get_i64("revision").ok();
    Held {
        // What is no place's has no label, and says so when it is read.
        bytes: bytes.unwrap_or_default(),
        revision: revision.and_then(|revision| u64::try_from(revision).ok()),
    }
}

/// The key that a document is kept under.
pub(crate) fn key(document: &RawDocument) -> Option<Key> {
    match document.get_str("_id").ok()?.parse() {
        Ok(Place::Record(key)) => Some(key),
        Ok(Place::Seats(_)) | Err(_) => None,
    }
}

/// The field that says from when on a place is due.
pub(crate) const fn due(what: Due) -> &'static str {
    match what {
        Due::Over => "over_from",
        Due::Lapsed => "lapses_at",
    }
}

/// Finds the living records of a kind.
pub(crate) fn living(kind: Kind, now: Timestamp) -> Document {
    doc! { "kind": letter(kind), "alive_until": { "$gt": millis(now) } }
}

/// The names of a kind's keys, from behind `after` on. They sort by the bytes of their text.
pub(crate) fn behind(kind: Kind, after: Option<Key>) -> Document {
    let first = format!("{}-", kind.letter());
    let end = format!("{}.", kind.letter());
    doc! { "$gt": after.map_or(first, |key| key.to_string()), "$lt": end }
}

/// An instant, as a number that every server sorts.
pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.millis()).unwrap_or(i64::MAX)
}

fn letter(kind: Kind) -> String {
    kind.letter().to_string()
}

fn binary(bytes: &Bytes) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

#[cfg(test)]
mod tests {
    use mongodb::bson::rawdoc;

    use super::*;

    #[test]
    fn what_is_known_is_told_by_its_revision_or_else_by_its_bytes() {
        let held = |revision| Held { bytes: Bytes::from_static(b"bytes"), revision };
        assert!(matches!(From::of(None), From::Nothing));
        assert!(matches!(From::of(Some(&held(Some(7)))), From::Revision(7)));
        assert!(matches!(From::of(Some(&held(None))), From::Bytes(_)));
        assert!(From::of(Some(&held(Some(7)))).is(Some(&held(Some(7)))));
        assert!(!From::of(Some(&held(Some(7)))).is(Some(&held(Some(8)))));
        assert!(From::of(Some(&held(None))).is(Some(&held(Some(8)))));
        assert!(From::of(None).is(None) && !From::of(None).is(Some(&held(None))));
        assert!(!From::of(Some(&held(None))).is(None));
        // It is none of ours.
        assert!(matches!(From::of(Some(&held(Some(u64::MAX)))), From::Bytes(_)));
    }

    #[test]
    fn what_is_no_places_reads_as_nothing_of_ours() {
        let read = held(&rawdoc! { "bytes": "text", "revision": 7_i32 });
        assert_eq!((read.bytes.len(), read.revision, read.label()), (0, None, None));
        assert!(!has(&rawdoc! {}, 0));
    }

    #[test]
    fn a_revision_is_never_negative_and_never_the_same() {
        let (one, other) = (revision(), revision());
        assert!(one >= 0 && other >= 0 && one != other);
    }

    #[test]
    fn no_time_to_forget_is_too_long() {
        let add = forget_at(Duration::MAX);
        let after = add.get_array("$add").unwrap()[1].as_i64().unwrap();
        assert_eq!(after, millis(Timestamp::MAX) + HOUR);
    }

    #[test]
    fn names_of_one_kind_lie_between_its_bounds() {
        let key = Key::random(Kind::Session).to_string();
        let range = behind(Kind::Session, None);
        let (from, end) = (range.get_str("$gt").unwrap(), range.get_str("$lt").unwrap());
        assert!(*key > *from && *key < *end);
        let flow = Key::random(Kind::Flow).to_string();
        assert!(*flow < *from || *flow > *end);
    }
}
