//! Every SQL text: one table of statements for each database.
//!
//! Parameters are positional and bound in the order in which they stand in the text.

/// One database's statements.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Opens a transaction that may write and waits for others that do.
    pub(crate) begin: &'static str,
    /// How many tables of versions there are: none or one.
    pub(crate) has_schema: &'static str,
    /// The schema's version.
    pub(crate) schema_version: &'static str,
    /// Notes (version).
    pub(crate) set_schema_version: &'static str,
    /// Changes nothing, but needs leave to.
    pub(crate) write_nothing: &'static str,
    /// What leads from each version of the schema to the next, from none on.
    pub(crate) migrations: &'static [&'static [&'static str]],

    /// (kind, id) -> record
    pub(crate) load: &'static str,
    /// (kind, id, version, principal, authenticated_at, deadline, record), unless it is there
    pub(crate) insert: &'static str,
    /// (version, principal, authenticated_at, deadline, record; kind, id, record as read)
    pub(crate) update: &'static str,
    /// (version, record; kind, id, record as read), where no indexed column changes
    pub(crate) update_record: &'static str,
    /// (kind, id, record as read)
    pub(crate) delete: &'static str,
    /// (now; deadline, kind, id to begin behind; limit) -> deadline, kind, id, record
    pub(crate) over: &'static str,

    /// (principal, now) -> id, record; sessions, the oldest login first
    pub(crate) of_principal: &'static str,
    /// (kind, id to begin behind, now, limit) -> id
    pub(crate) page: &'static str,
    /// (kind, now) -> number
    pub(crate) count: &'static str,

    /// (kind, id, reason, leased_until, record)
    pub(crate) keep_ending: &'static str,
    /// (now, limit) -> kind, id, reason, record
    pub(crate) lapsed: &'static str,
    /// (leased_until; kind, id)
    pub(crate) lease: &'static str,
    /// (kind, id)
    pub(crate) acknowledge: &'static str,
}

/// SQLite 3.37 or newer, for STRICT tables.
pub(crate) const SQLITE: Dialect = Dialect {
    begin: "BEGIN IMMEDIATE",
    has_schema: "SELECT count(*) FROM sqlite_master \
                 WHERE type = 'table' AND name = 'cloakroom_schema'",
    schema_version: "SELECT version FROM cloakroom_schema",
    set_schema_version: "UPDATE cloakroom_schema SET version = ?",
    write_nothing: "UPDATE cloakroom_schema SET version = version WHERE false",
    migrations: &[&[
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
    ]],

    load: "SELECT record FROM cloakroom_sessions WHERE kind = ? AND id = ?",
    insert: "INSERT INTO cloakroom_sessions \
             (kind, id, version, principal, authenticated_at, deadline, record) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, id) DO NOTHING",
    update: "UPDATE cloakroom_sessions \
             SET version = ?, principal = ?, authenticated_at = ?, deadline = ?, record = ? \
             WHERE kind = ? AND id = ? AND record = ?",
    update_record: "UPDATE cloakroom_sessions SET version = ?, record = ? \
                    WHERE kind = ? AND id = ? AND record = ?",
    delete: "DELETE FROM cloakroom_sessions WHERE kind = ? AND id = ? AND record = ?",
    over: "SELECT deadline, kind, id, record FROM cloakroom_sessions \
           WHERE deadline <= ? AND (deadline, kind, id) > (?, ?, ?) \
           ORDER BY deadline, kind, id LIMIT ?",

    of_principal: "SELECT id, record FROM cloakroom_sessions \
                   WHERE principal = ? AND kind = 's' AND (deadline IS NULL OR deadline > ?) \
                   ORDER BY authenticated_at, id",
    page: "SELECT id FROM cloakroom_sessions \
           WHERE kind = ? AND id > ? AND (deadline IS NULL OR deadline > ?) \
           ORDER BY id LIMIT ?",
    count: "SELECT count(*) FROM cloakroom_sessions \
            WHERE kind = ? AND (deadline IS NULL OR deadline > ?)",

    keep_ending: "INSERT OR REPLACE INTO cloakroom_endings \
                  (kind, id, reason, leased_until, record) VALUES (?, ?, ?, ?, ?)",
    lapsed: "SELECT kind, id, reason, record FROM cloakroom_endings \
             WHERE leased_until <= ? ORDER BY leased_until LIMIT ?",
    lease: "UPDATE cloakroom_endings SET leased_until = ? WHERE kind = ? AND id = ?",
    acknowledge: "DELETE FROM cloakroom_endings WHERE kind = ? AND id = ?",
};
