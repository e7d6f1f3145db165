//! Records as rows: what is bound and what is read back.

use bytes::Bytes;
use cloakroom_core::store::Error;
use cloakroom_core::{Key, Kind, Record, Timestamp};
use sqlx::Row as _;

use crate::fault::{Fault, Step};
use crate::link::Sql;

/// What a statement is given.
#[derive(Clone)]
pub(crate) enum Value {
    Int(i64),
    /// A number that may be missing.
    Maybe(Option<i64>),
    /// A name of this crate's own.
    Text(String),
    /// A user's name: text in SQLite, bytes elsewhere.
    Principal(Option<String>),
    Bytes(Vec<u8>),
}

/// Binds the values of a statement for one database.
macro_rules! binder {
    ($feature:literal, $name:ident, $database:ty, |$text:ident| $name_as:expr, $text_as:expr) => {
        #[cfg(feature = $feature)]
        pub(crate) fn $name(
            sql: Sql,
            values: Vec<Value>,
        ) -> sqlx::query::Query<'static, $database, <$database as sqlx::Database>::Arguments> {
            let (text, kept) = sql.into_parts();
            let query = sqlx::query::<$database>(text).persistent(kept);
            values.into_iter().fold(query, |query, value| match value {
                Value::Int(number) => query.bind(number),
                Value::Maybe(number) => query.bind(number),
                Value::Text($text) => query.bind($text_as),
                Value::Principal(name) => query.bind(name.map(|$text| $name_as)),
                Value::Bytes(bytes) => query.bind(bytes),
            })
        }
    };
}

binder!("sqlite", sqlite, sqlx::Sqlite, |text| text, text);
binder!("postgres", postgres, sqlx::Postgres, |text| text.into_bytes(), text);
binder!("mysql", mysql, sqlx::MySql, |text| text.into_bytes(), text.into_bytes());

/// A row that was read. Its columns are known by their place.
pub(crate) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
    #[cfg(feature = "mysql")]
    MySql(sqlx::mysql::MySqlRow),
}

macro_rules! column {
    ($row:expr, $column:expr) => {
        match $row {
            #[cfg(feature = "sqlite")]
            Row::Sqlite(row) => row.try_get($column),
            #[cfg(feature = "postgres")]
            Row::Postgres(row) => row.try_get($column),
            #[cfg(feature = "mysql")]
            Row::MySql(row) => row.try_get($column),
        }
        .map_err(Fault::odd)
    };
}

impl Row {
    pub(crate) fn int(&self, column: usize) -> Result<i64, Fault> {
        column!(self, column)
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Vec<u8>, Fault> {
        column!(self, column)
    }

    /// A name of this crate's own.
    pub(crate) fn text(&self, column: usize) -> Result<String, Fault> {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(row) => {
                let bytes = row.try_get::<Vec<u8>, _>(column).map_err(Fault::odd)?;
                String::from_utf8(bytes).map_err(Fault::odd)
            }
            #[allow(unreachable_patterns, reason = "there may be one kind of database only")]
            _ => column!(self, column),
        }
    }
}

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
    pub(crate) fn decode(key: Key, bytes: Vec<u8>) -> Result<Self, Error> {
        let bytes = Bytes::from(bytes);
        match Record::decode(&bytes) {
            Ok(record) => Ok(Self { key, bytes, record }),
            Err(source) => Err(Error::Unreadable { key, source }),
        }
    }

    /// Reads one row of many, with the key's id and the record in these columns. A damaged one is
    /// an error for its own key only: here it is warned of and left out.
    pub(crate) fn of_many(
        kind: Kind,
        row: &Row,
        (id, record): (usize, usize),
    ) -> Step<Option<Self>> {
        Ok(Self::or_key_of_many(kind, row, (id, record))?.and_then(Result::ok))
    }

    /// The same, with the key of one that cannot be read.
    pub(crate) fn or_key_of_many(
        kind: Kind,
        row: &Row,
        (id, record): (usize, usize),
    ) -> Step<Option<Result<Self, Key>>> {
        let Some(key) = Key::from_bytes(kind, &row.bytes(id)?) else {
            tracing::warn!("left out a row whose key has a wrong length");
            return Ok(None);
        };
        let stored = Self::decode(key, row.bytes(record)?).inspect_err(warn_of);
        Ok(Some(stored.map_err(|_| key)))
    }
}

fn warn_of(error: &Error) {
    if let Error::Unreadable { key, source } = error {
        tracing::warn!(%key, %source, "passed over a record that cannot be read");
    }
}

/// The kind of this name; `None` where a newer version has written another.
pub(crate) fn kind(name: &str) -> Option<Kind> {
    let mut letters = name.chars();
    let kind = letters.next().and_then(Kind::from_letter);
    kind.filter(|_| letters.next().is_none())
}

/// A kind's name.
pub(crate) fn letter(kind: Kind) -> Value {
    Value::Text(kind.letter().to_string())
}

/// A kind and an id.
pub(crate) fn key_values(key: Key) -> [Value; 2] {
    [letter(key.kind()), Value::Bytes(key.as_bytes().to_vec())]
}

/// Version, principal, authenticated_at and deadline, then the record.
pub(crate) fn record_values(record: &Record) -> [Value; 5] {
    [
        version(record),
        Value::Principal(record.principal.clone()),
        Value::Maybe(record.authenticated_at.map(as_int)),
        Value::Maybe(record.deadline().map(as_int)),
        encoded(record),
    ]
}

/// A record's bytes.
pub(crate) fn encoded(record: &Record) -> Value {
    Value::Bytes(Vec::from(record.encode()))
}

/// The version as a column has it: for people who look, the record's own is in its bytes.
pub(crate) fn version(record: &Record) -> Value {
    Value::Int(i64::try_from(record.version).unwrap_or(i64::MAX))
}

pub(crate) fn millis(at: Timestamp) -> Value {
    Value::Int(as_int(at))
}

/// A timestamp has 53 bits at most.
fn as_int(at: Timestamp) -> i64 {
    i64::try_from(at.millis()).unwrap_or(i64::MAX)
}

/// A limit as the database counts.
pub(crate) fn most(limit: usize) -> Value {
    Value::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

/// A record's bytes as they were read.
pub(crate) fn encoded_as_read(stored: &Stored) -> Value {
    Value::Bytes(stored.bytes.to_vec())
}
