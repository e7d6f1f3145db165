//! SQLite's statements: 3.37 or newer, for STRICT tables.

use super::{Dialect, Many};
use crate::schema::Migration;

const LOAD: &str = "SELECT record FROM cloakroom_sessions WHERE kind = ? AND id = ?";
const UPDATE: &str = "UPDATE cloakroom_sessions \
    SET version = ?, principal = ?, authenticated_at = ?, deadline = ?, record = ? \
    WHERE kind = ? AND id = ? AND record = ?";
const UPDATE_RECORD: &str = "UPDATE cloakroom_sessions SET version = ?, record = ? \
    WHERE kind = ? AND id = ? AND record = ?";
const OVER: &str = "SELECT deadline, kind, id, record FROM cloakroom_sessions \
    WHERE deadline <= ? AND (deadline, kind, id) > (?, ?, ?) \
    ORDER BY deadline, kind, id LIMIT ?";
const LAPSED: &str = "SELECT kind, id, reason, record FROM cloakroom_endings \
    WHERE leased_until <= ? ORDER BY leased_until LIMIT ?";

/// Whoever opens a transaction has the whole file, so nothing else is locked.
pub(super) const SQLITE: Dialect = Dialect {
    begin: "BEGIN IMMEDIATE",
    lock_schema: None,
    unlock_schema: None,
    has_schema: "SELECT count(*) FROM sqlite_master \
                 WHERE type = 'table' AND name = 'cloakroom_schema'",
    schema_version: "SELECT version FROM cloakroom_schema",
    readable_from: "SELECT readable_from FROM cloakroom_schema",
    set_schema_version: "UPDATE cloakroom_schema SET version = ?, readable_from = ?",
    write_nothing: "UPDATE cloakroom_schema SET version = version WHERE false",
    migrations: &[
        Migration {
            readable_from: 1,
            statements: &[
                "CREATE TABLE cloakroom_schema (version INTEGER NOT NULL) STRICT",
                "INSERT INTO cloakroom_schema (version) VALUES (1)",
                "CREATE TABLE cloakroom_sessions (
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    version INTEGER NOT NULL,
    principal TEXT,
    authenticated_at INTEGER,
    deadline INTEGER,
    record BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT",
                "CREATE INDEX cloakroom_sessions_deadline
    ON cloakroom_sessions (deadline, kind, id) WHERE deadline IS NOT NULL",
                "CREATE INDEX cloakroom_sessions_principal
    ON cloakroom_sessions (principal) WHERE principal IS NOT NULL",
                "CREATE TABLE cloakroom_endings (
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    reason TEXT NOT NULL,
    leased_until INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT",
                "CREATE INDEX cloakroom_endings_leased_until ON cloakroom_endings (leased_until)",
            ],
        },
        Migration {
            readable_from: 1,
            statements: &["ALTER TABLE cloakroom_schema
    ADD COLUMN readable_from INTEGER NOT NULL DEFAULT 1"],
        },
    ],

    load: LOAD,
    load_locked: LOAD,
    insert: "INSERT INTO cloakroom_sessions \
             (kind, id, version, principal, authenticated_at, deadline, record) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, id) DO NOTHING",
    update: UPDATE,
    update_record: UPDATE_RECORD,
    touch: UPDATE,
    replace: UPDATE,
    delete: Many {
        before: "DELETE FROM cloakroom_sessions WHERE ",
        each: "(kind = ? AND id = ?)",
        between: " OR ",
        after: "",
        numbered: false,
    },
    over: OVER,
    over_locked: OVER,

    lock_principal: None,
    of_principal: "SELECT id, record FROM cloakroom_sessions \
                   WHERE principal = ? AND kind = 's' AND (deadline IS NULL OR deadline > ?) \
                   ORDER BY authenticated_at, id",
    page: "SELECT id FROM cloakroom_sessions \
           WHERE kind = ? AND id > ? AND (deadline IS NULL OR deadline > ?) \
           ORDER BY id LIMIT ?",
    count: "SELECT count(*) FROM cloakroom_sessions \
            WHERE kind = ? AND (deadline IS NULL OR deadline > ?)",

    keep_endings: Many {
        before: "INSERT OR REPLACE INTO cloakroom_endings \
                 (kind, id, reason, leased_until, record) VALUES ",
        each: "(?, ?, ?, ?, ?)",
        between: ", ",
        after: "",
        numbered: false,
    },
    lapsed: LAPSED,
    lapsed_locked: LAPSED,
    lease: Many {
        before: "UPDATE cloakroom_endings SET leased_until = ? WHERE ",
        each: "(kind = ? AND id = ?)",
        between: " OR ",
        after: "",
        numbered: false,
    },
    acknowledge: "DELETE FROM cloakroom_endings WHERE kind = ? AND id = ?",
};
