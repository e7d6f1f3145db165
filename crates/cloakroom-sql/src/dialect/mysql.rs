//! MySQL's and MariaDB's statements: for MySQL 8 and MariaDB 10.6 or newer, for SKIP LOCKED.
//!
//! Names are bytes, not text: every collation but the binary one takes some different names for
//! the same, if only those that end in spaces. Transactions read what is committed.

use super::{Dialect, Many};
use crate::schema::Migration;

const UPDATE: &str = "UPDATE cloakroom_sessions \
    SET version = ?, principal = ?, authenticated_at = ?, deadline = ?, record = ? \
    WHERE kind = ? AND id = ? AND record = ?";

/// Its `CREATE TABLE` ends a transaction, so what makes the tables can be run again half-way.
pub(super) const MYSQL: Dialect = Dialect {
    begin: "START TRANSACTION",
    // A lock's name may have 64 characters, as many as a database's. MySQL 9.6 has no MD5 any more.
    lock_schema: Some(
        "SELECT CAST(coalesce(get_lock(concat('cloakroom_schema ', \
         left(sha2(database(), 256), 32)), 60), 0) AS SIGNED)",
    ),
    unlock_schema: Some(
        "SELECT release_lock(concat('cloakroom_schema ', left(sha2(database(), 256), 32)))",
    ),
    has_schema: "SELECT count(*) FROM information_schema.tables \
                 WHERE table_schema = database() AND table_name = 'cloakroom_schema'",
    schema_version: "SELECT version FROM cloakroom_schema",
    readable_from: "SELECT readable_from FROM cloakroom_schema",
    set_schema_version: "UPDATE cloakroom_schema SET version = ?, readable_from = ?",
    write_nothing: "UPDATE cloakroom_schema SET version = version WHERE false",
    migrations: &[Migration {
        readable_from: 1,
        statements: &[
            "CREATE TABLE IF NOT EXISTS cloakroom_sessions (
    kind VARBINARY(8) NOT NULL,
    id VARBINARY(64) NOT NULL,
    version BIGINT NOT NULL,
    principal MEDIUMBLOB,
    authenticated_at BIGINT,
    deadline BIGINT,
    record LONGBLOB NOT NULL,
    PRIMARY KEY (kind, id),
    KEY cloakroom_sessions_deadline (deadline, kind, id),
    KEY cloakroom_sessions_principal (principal(128))
) ENGINE = InnoDB",
            "CREATE TABLE IF NOT EXISTS cloakroom_endings (
    kind VARBINARY(8) NOT NULL,
    id VARBINARY(64) NOT NULL,
    reason VARBINARY(32) NOT NULL,
    leased_until BIGINT NOT NULL,
    record LONGBLOB NOT NULL,
    PRIMARY KEY (kind, id),
    KEY cloakroom_endings_leased_until (leased_until)
) ENGINE = InnoDB",
            "CREATE TABLE IF NOT EXISTS cloakroom_seats (
    stripe INT NOT NULL PRIMARY KEY
) ENGINE = InnoDB",
            "INSERT IGNORE INTO cloakroom_seats (stripe)
    SELECT 16 * a.n + b.n
    FROM (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3) a,
    (SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3
     UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7
     UNION ALL SELECT 8 UNION ALL SELECT 9 UNION ALL SELECT 10 UNION ALL SELECT 11
     UNION ALL SELECT 12 UNION ALL SELECT 13 UNION ALL SELECT 14 UNION ALL SELECT 15) b",
            "CREATE TABLE IF NOT EXISTS cloakroom_schema (
    one INT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    readable_from BIGINT NOT NULL
) ENGINE = InnoDB",
            "INSERT IGNORE INTO cloakroom_schema (one, version, readable_from) VALUES (1, 0, 0)",
        ],
    }],

    load: "SELECT record FROM cloakroom_sessions WHERE kind = ? AND id = ?",
    load_locked: "SELECT record FROM cloakroom_sessions WHERE kind = ? AND id = ? FOR UPDATE",
    insert: "INSERT INTO cloakroom_sessions \
             (kind, id, version, principal, authenticated_at, deadline, record) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
    update: UPDATE,
    update_record: "UPDATE cloakroom_sessions SET version = ?, record = ? \
                    WHERE kind = ? AND id = ? AND record = ?",
    touch: UPDATE,
    replace: UPDATE,
    delete: Many {
        before: "DELETE FROM cloakroom_sessions WHERE ",
        each: "(kind = ? AND id = ?)",
        between: " OR ",
        after: "",
        numbered: false,
    },
    over: "SELECT deadline, kind, id, record FROM cloakroom_sessions \
           WHERE deadline <= ? AND (deadline, kind, id) > (?, ?, ?) \
           ORDER BY deadline, kind, id LIMIT ?",
    over_locked: "SELECT deadline, kind, id, record FROM cloakroom_sessions \
                  WHERE deadline <= ? AND (deadline, kind, id) > (?, ?, ?) \
                  ORDER BY deadline, kind, id LIMIT ? FOR UPDATE SKIP LOCKED",

    lock_principal: Some(
        "SELECT stripe FROM cloakroom_seats WHERE stripe = crc32(?) % 64 FOR UPDATE",
    ),
    of_principal: "SELECT id, record FROM cloakroom_sessions \
                   WHERE principal = ? AND kind = 's' AND (deadline IS NULL OR deadline > ?) \
                   ORDER BY authenticated_at, id",
    page: "SELECT id FROM cloakroom_sessions \
           WHERE kind = ? AND id > ? AND (deadline IS NULL OR deadline > ?) \
           ORDER BY id LIMIT ?",
    count: "SELECT count(*) FROM cloakroom_sessions \
            WHERE kind = ? AND (deadline IS NULL OR deadline > ?)",

    keep_endings: Many {
        before: "REPLACE INTO cloakroom_endings (kind, id, reason, leased_until, record) VALUES ",
        each: "(?, ?, ?, ?, ?)",
        between: ", ",
        after: "",
        numbered: false,
    },
    lapsed: "SELECT kind, id, reason, record FROM cloakroom_endings \
             WHERE leased_until <= ? ORDER BY leased_until LIMIT ?",
    lapsed_locked: "SELECT kind, id, reason, record FROM cloakroom_endings \
                    WHERE leased_until <= ? ORDER BY leased_until LIMIT ? FOR UPDATE SKIP LOCKED",
    lease: Many {
        before: "UPDATE cloakroom_endings SET leased_until = ? WHERE ",
        each: "(kind = ? AND id = ?)",
        between: " OR ",
        after: "",
        numbered: false,
    },
    acknowledge: "DELETE FROM cloakroom_endings WHERE kind = ? AND id = ?",
};
