//! Records as rows: what is bound and what is read back.

use bytes::Bytes;
use cloakroom_core::store::{Error, Result};
use cloakroom_core::{Key, Kind, Record, Timestamp};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite};

use crate::error::asking;

pub(crate) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// A record as it was read, with the bytes by which it is recognised when it is written.
///
/// Everything of a record is in its bytes, so a row that still has them has not changed.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: Key,
    pub(crate) bytes: Bytes,
    pub(crate) record: Record,
}

impl Stored {
    pub(crate) fn decode(key: Key, bytes: Vec<u8>) -> Result<Self> {
        let bytes = Bytes::from(bytes);
        match Record::decode(&bytes) {
            Ok(record) => Ok(Self { key, bytes, record }),
            Err(source) => Err(Error::Unreadable { key, source }),
        }
    }

    /// Reads one row of many, with columns `id` and `record`. A damaged one is an error for its
    /// own key only: here it is warned of and left out.
    pub(crate) fn of_many(kind: Kind, row: &SqliteRow) -> Result<Option<Self>> {
        let id: &[u8] = row.try_get("id").map_err(asking)?;
        let Some(key) = Key::from_bytes(kind, id) else {
            tracing::warn!("left out a row whose key has a wrong length");
            return Ok(None);
        };
        let read = Self::decode(key, row.try_get("record").map_err(asking)?);
        Ok(read.inspect_err(warn_of).ok())
    }
}

fn warn_of(error: &Error) {
    if let Error::Unreadable { key, source } = error {
        tracing::warn!(%key, %source, "left out a record that cannot be read");
    }
}

/// The kind in a row's column `kind`; `None` where a newer version has written another.
pub(crate) fn kind(row: &SqliteRow) -> Result<Option<Kind>> {
    let name: &str = row.try_get("kind").map_err(asking)?;
    let mut letters = name.chars();
    let kind = letters.next().and_then(Kind::from_letter);
    Ok(kind.filter(|_| letters.next().is_none()))
}

/// Binds a kind and an id.
pub(crate) fn bind_key(query: Query, key: Key) -> Query {
    query.bind(letter(key.kind())).bind(key.as_bytes().to_vec())
}

pub(crate) fn letter(kind: Kind) -> String {
    kind.letter().to_string()
}

/// Binds version, principal, authenticated_at and deadline, then the record.
pub(crate) fn bind_record(query: Query, record: &Record) -> Query {
    query
        .bind(version(record))
        .bind(record.principal.clone())
        .bind(record.authenticated_at.map(millis))
        .bind(record.deadline().map(millis))
        .bind(Vec::from(record.encode()))
}

/// The version as a column has it: for people who look, the record's own is in its bytes.
pub(crate) fn version(record: &Record) -> i64 {
    i64::try_from(record.version).unwrap_or(i64::MAX)
}

/// A timestamp has 53 bits at most.
pub(crate) fn millis(at: Timestamp) -> i64 {
    i64::try_from(at.millis()).unwrap_or(i64::MAX)
}

/// A limit as the database counts.
pub(crate) fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
