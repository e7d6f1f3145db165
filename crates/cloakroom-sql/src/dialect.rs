//! Every SQL text: one table of statements for each database.
//!
//! Parameters are positional and bound in the order in which they stand in a statement's comment;
//! so are columns. A statement that changes rows answers how many: in PostgreSQL, as so many rows,
//! each with the server's [identity](crate::feed) where changes are told.

mod mysql;
mod postgres;
mod sqlite;

use crate::link::Sql;
use crate::schema::Migration;

/// A kind of database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Database {
    /// SQLite 3.37 or newer.
    Sqlite,
    /// PostgreSQL 14 or newer.
    Postgres,
    /// MySQL 8 or newer, and MariaDB 10.6 or newer.
    MySql,
}

impl Database {
    /// Its statements.
    pub(crate) const fn dialect(self) -> &'static Dialect {
        match self {
            Self::Sqlite => &sqlite::SQLITE,
            Self::Postgres => &postgres::TELLING,
            Self::MySql => &mysql::MYSQL,
        }
    }
}

#[cfg(feature = "postgres")]
pub(crate) use postgres::{BEAT, CHANNEL, NAME_SERVER, SILENT};

/// One database's statements.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Opens a transaction that may write. In SQLite it waits for others that do; elsewhere rows
    /// are locked as they are read.
    pub(crate) begin: &'static str,
    /// Has only one at a time migrate, where opening a transaction does not see to that. Answers 1
    /// where it does.
    pub(crate) lock_schema: Option<&'static str>,
    /// Lets the next one migrate, where the end of the transaction does not.
    pub(crate) unlock_schema: Option<&'static str>,
    /// How many tables of versions there are: none or one.
    pub(crate) has_schema: &'static str,
    /// The schema's version.
    pub(crate) schema_version: &'static str,
    /// The oldest version whose nodes can work with this schema. Since schema 2 in SQLite.
    pub(crate) readable_from: &'static str,
    /// Notes (version, readable from).
    pub(crate) set_schema_version: &'static str,
    /// Changes nothing, but needs leave to.
    pub(crate) write_nothing: &'static str,
    /// What leads from each version of the schema to the next, from none on.
    pub(crate) migrations: &'static [Migration],

    /// (kind, id) -> record
    pub(crate) load: &'static str,
    /// The same in a transaction: nobody else changes it before its end.
    pub(crate) load_locked: &'static str,
    /// (kind, id, version, principal, authenticated_at, deadline, record), unless it is there
    pub(crate) insert: &'static str,
    /// (version, principal, authenticated_at, deadline, record; kind, id, record as read)
    pub(crate) update: &'static str,
    /// (version, record; kind, id, record as read), where no indexed column changes
    pub(crate) update_record: &'static str,
    /// As `update`, where only a use is noted: the version stays.
    pub(crate) touch: &'static str,
    /// As `update`, where another record was there: its version says nothing.
    pub(crate) replace: &'static str,
    /// (kind, id, ..)
    pub(crate) delete: Many,
    /// (now; deadline, kind, id to begin behind; limit) -> deadline, kind, id, record
    pub(crate) over: &'static str,
    /// The same in a transaction: nobody else changes or claims them before its end. Passes by
    /// what somebody is about to.
    pub(crate) over_locked: &'static str,

    /// (principal): nobody else seats the principal before the transaction's end.
    pub(crate) lock_principal: Option<&'static str>,
    /// (principal, now) -> id, record; sessions, the oldest login first
    pub(crate) of_principal: &'static str,
    /// (kind, id to begin behind, now, limit) -> id
    pub(crate) page: &'static str,
    /// (kind, now) -> number
    pub(crate) count: &'static str,

    /// (kind, id, reason, leased_until, record, ..)
    pub(crate) keep_endings: Many,
    /// (now, limit) -> kind, id, reason, record
    pub(crate) lapsed: &'static str,
    /// The same in a transaction: nobody else leases or forgets them before its end.
    pub(crate) lapsed_locked: &'static str,
    /// (leased_until; kind, id, ..)
    pub(crate) lease: Many,
    /// (kind, id)
    pub(crate) acknowledge: &'static str,
}

/// A statement on several rows: a group of parameters for each.
#[derive(Debug)]
pub(crate) struct Many {
    before: &'static str,
    each: &'static str,
    between: &'static str,
    after: &'static str,
    /// Whether parameters are numbered, not question marks.
    numbered: bool,
}

impl Many {
    /// The statement for so many rows, at least one. Mostly there is one.
    pub(crate) fn of(&self, rows: usize) -> Sql {
        Sql::Made(self.text(rows), rows == 1)
    }

    fn text(&self, rows: usize) -> String {
        let groups = vec![self.each; rows].join(self.between);
        let text = format!("{}{groups}{}", self.before, self.after);
        if self.numbered { numbered(&text) } else { text }
    }
}

/// Writes the n-th question mark as `$n`. No text of ours has another in it.
fn numbered(text: &str) -> String {
    let mut parts = text.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.zip(1..).fold(first, |text, (part, n)| format!("{text}${n}{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_on_many_rows_has_a_group_for_each() {
        assert_eq!(
            sqlite::SQLITE.delete.text(2),
            "DELETE FROM cloakroom_sessions WHERE (kind = ? AND id = ?) OR (kind = ? AND id = ?)"
        );
        let told = postgres::TELLING.keep_endings.text(2);
        assert!(told.contains("VALUES ($1, $2, $3, $4, $5), ($6, $7, $8, $9, $10) ON"), "{told}");
    }
}
