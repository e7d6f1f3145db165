//! PostgreSQL's statements: 14 or newer.
//!
//! Names are bytes, so that neither the database's encoding nor its collation matters. What
//! changes a record tells of it in the same statement: `<kind><id in hex> <version>`, and without
//! a version where the record is gone, is another, or was only used.

use super::{Dialect, Many};
use crate::schema::Migration;

/// Where changes are told.
#[cfg(feature = "postgres")]
pub(crate) const CHANNEL: &str = "cloakroom_sessions";

/// When this server was started, in microseconds: no other server says the same.
macro_rules! server {
    () => {
        "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"
    };
}

/// -> the server's identity
#[cfg(feature = "postgres")]
pub(crate) const NAME_SERVER: &str = concat!("SELECT ", server!());

/// (channel, payload): told after everything that was told before, by a server that may write.
#[cfg(feature = "postgres")]
pub(crate) const BEAT: &str = "WITH nothing AS \
    (UPDATE cloakroom_schema SET version = version WHERE false) SELECT pg_notify($1, $2)";

macro_rules! update {
    () => {
        "UPDATE cloakroom_sessions \
         SET version = $1, principal = $2, authenticated_at = $3, deadline = $4, record = $5 \
         WHERE kind = $6 AND id = $7 AND record = $8"
    };
}

macro_rules! update_record {
    () => {
        "UPDATE cloakroom_sessions SET version = $1, record = $2 \
         WHERE kind = $3 AND id = $4 AND record = $5"
    };
}

/// Tells that a record came to its version.
macro_rules! reached {
    ($change:expr) => {
        concat!(
            "WITH changed AS (",
            $change,
            " RETURNING kind, id, version) SELECT ",
            server!(),
            ", pg_notify('cloakroom_sessions', kind || encode(id, 'hex') || ' ' || version) \
             FROM changed"
        )
    };
}

macro_rules! not_told {
    ($change:expr) => {
        concat!($change, " RETURNING ", server!())
    };
}

/// Tells that a record is gone, or another: begins behind what changes it.
macro_rules! changed_after {
    () => {
        concat!(
            " RETURNING kind, id) SELECT ",
            server!(),
            ", pg_notify('cloakroom_sessions', kind || encode(id, 'hex')) FROM changed"
        )
    };
}

/// Tells every change.
pub(super) const TELLING: Dialect = Dialect {
    update: reached!(update!()),
    update_record: reached!(update_record!()),
    // The version stays as it was, so it says nothing.
    touch: concat!("WITH changed AS (", update!(), changed_after!()),
    replace: concat!("WITH changed AS (", update!(), changed_after!()),
    delete: Many {
        before: "WITH changed AS (DELETE FROM cloakroom_sessions WHERE ",
        each: "(kind = ? AND id = ?)",
        between: " OR ",
        after: changed_after!(),
        numbered: true,
    },
    ..SILENT
};

/// Tells nothing.
pub(crate) const SILENT: Dialect = Dialect {
    begin: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    lock_schema: Some(
        "SELECT 1::bigint FROM pg_advisory_xact_lock(hashtextextended('cloakroom_schema', 0))",
    ),
    unlock_schema: None,
    // Not `to_regclass`: it may remember from before the lock that there is none.
    has_schema: "SELECT count(*) FROM pg_catalog.pg_class \
                 WHERE relname = 'cloakroom_schema' AND pg_catalog.pg_table_is_visible(oid)",
    schema_version: "SELECT version FROM cloakroom_schema",
    readable_from: "SELECT readable_from FROM cloakroom_schema",
    set_schema_version: "UPDATE cloakroom_schema SET version = $1, readable_from = $2 RETURNING 1",
    write_nothing: "UPDATE cloakroom_schema SET version = version WHERE false",
    migrations: &[Migration {
        readable_from: 1,
        statements: &[
            "CREATE TABLE cloakroom_schema (
    version BIGINT NOT NULL,
    readable_from BIGINT NOT NULL
)",
            "INSERT INTO cloakroom_schema (version, readable_from) VALUES (1, 1)",
            "CREATE TABLE cloakroom_sessions (
    kind TEXT COLLATE \"C\" NOT NULL,
    id BYTEA NOT NULL,
    version BIGINT NOT NULL,
    principal BYTEA,
    authenticated_at BIGINT,
    deadline BIGINT,
    record BYTEA NOT NULL,
    PRIMARY KEY (kind, id)
)",
            "CREATE INDEX cloakroom_sessions_deadline
    ON cloakroom_sessions (deadline, kind, id) WHERE deadline IS NOT NULL",
            "CREATE INDEX cloakroom_sessions_principal
    ON cloakroom_sessions USING hash (principal) WHERE principal IS NOT NULL",
            "CREATE TABLE cloakroom_endings (
    kind TEXT COLLATE \"C\" NOT NULL,
    id BYTEA NOT NULL,
    reason TEXT NOT NULL,
    leased_until BIGINT NOT NULL,
    record BYTEA NOT NULL,
    PRIMARY KEY (kind, id)
)",
            "CREATE INDEX cloakroom_endings_leased_until ON cloakroom_endings (leased_until)",
        ],
    }],

    load: concat!(
        "SELECT record, ",
        server!(),
        " FROM cloakroom_sessions WHERE kind = $1 AND id = $2"
    ),
    load_locked: concat!(
        "SELECT record, ",
        server!(),
        " FROM cloakroom_sessions WHERE kind = $1 AND id = $2 FOR UPDATE"
    ),
    insert: not_told!(
        "INSERT INTO cloakroom_sessions \
         (kind, id, version, principal, authenticated_at, deadline, record) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, id) DO NOTHING"
    ),
    update: not_told!(update!()),
    update_record: not_told!(update_record!()),
    touch: not_told!(update!()),
    replace: not_told!(update!()),
    delete: Many {
        before: "DELETE FROM cloakroom_sessions WHERE ",
        each: "(kind = ? AND id = ?)",
        between: " OR ",
        after: concat!(" RETURNING ", server!()),
        numbered: true,
    },
    over: "SELECT deadline, kind, id, record FROM cloakroom_sessions \
           WHERE deadline <= $1 AND (deadline, kind, id) > ($2, $3, $4) \
           ORDER BY deadline, kind, id LIMIT $5",
    over_locked: "SELECT deadline, kind, id, record FROM cloakroom_sessions \
                  WHERE deadline <= $1 AND (deadline, kind, id) > ($2, $3, $4) \
                  ORDER BY deadline, kind, id LIMIT $5 FOR UPDATE SKIP LOCKED",

    lock_principal: Some(
        "SELECT pg_advisory_xact_lock(hashtextextended(encode($1::bytea, 'hex'), 7))",
    ),
    of_principal: "SELECT id, record FROM cloakroom_sessions \
                   WHERE principal = $1 AND kind = 's' AND (deadline IS NULL OR deadline > $2) \
                   ORDER BY authenticated_at, id",
    page: "SELECT id FROM cloakroom_sessions \
           WHERE kind = $1 AND id > $2 AND (deadline IS NULL OR deadline > $3) \
           ORDER BY id LIMIT $4",
    count: "SELECT count(*) FROM cloakroom_sessions \
            WHERE kind = $1 AND (deadline IS NULL OR deadline > $2)",

    keep_endings: Many {
        before: "INSERT INTO cloakroom_endings (kind, id, reason, leased_until, record) VALUES ",
        each: "(?, ?, ?, ?, ?)",
        between: ", ",
        after: " ON CONFLICT (kind, id) DO UPDATE SET reason = excluded.reason, \
                leased_until = excluded.leased_until, record = excluded.record RETURNING 1",
        numbered: true,
    },
    lapsed: "SELECT kind, id, reason, record FROM cloakroom_endings \
             WHERE leased_until <= $1 ORDER BY leased_until LIMIT $2",
    lapsed_locked: "SELECT kind, id, reason, record FROM cloakroom_endings \
                    WHERE leased_until <= $1 ORDER BY leased_until LIMIT $2 FOR UPDATE SKIP LOCKED",
    lease: Many {
        before: "UPDATE cloakroom_endings SET leased_until = ? WHERE ",
        each: "(kind = ? AND id = ?)",
        between: " OR ",
        after: " RETURNING 1",
        numbered: true,
    },
    acknowledge: "DELETE FROM cloakroom_endings WHERE kind = $1 AND id = $2 RETURNING 1",
};
