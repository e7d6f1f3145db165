//! What a driver's error means: whether the call may have been carried out all the same.

use cloakroom_core::store::Error;

/// Primary result codes of SQLite.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const NOTADB: i32 = 26;

/// Codes after which a statement, and a COMMIT too, certainly has changed nothing: ERROR, PERM,
/// READONLY, FULL, CANTOPEN, SCHEMA, TOOBIG, CONSTRAINT, MISMATCH, AUTH, NOTADB.
const REFUSALS: [i32; 11] = [1, 3, READONLY, 13, 14, 17, 18, 19, 20, 23, NOTADB];

/// An error before anything could be kept: while reading, or in a transaction that is rolled back.
pub(crate) fn asking(error: sqlx::Error) -> Error {
    match result_code(&error) {
        Some(BUSY | LOCKED | IOERR) => Error::Unreachable(error.into()),
        Some(_) => Error::Refused(error.into()),
        None => Error::Unreachable(error.into()),
    }
}

/// An error of a statement that is a transaction of its own.
///
/// A damaged page is stumbled over while the statement reads its way, before anything is kept. A
/// damaged index of the log, in shared memory, would be met only after that; it says the same, and
/// is left out of account: what was written then is seen by nobody, unless a recovery of the log
/// brings it back.
pub(crate) fn writing(error: sqlx::Error) -> Error {
    match result_code(&error) {
        Some(CORRUPT) => Error::Refused(error.into()),
        _ => committing(error),
    }
}

/// An error of COMMIT.
///
/// A busy COMMIT leaves the transaction open, to be rolled back, and a full disk has SQLite roll
/// it back. An I/O error tells nothing: the log may hold the commit and bring it back when it is
/// next read.
pub(crate) fn committing(error: sqlx::Error) -> Error {
    match result_code(&error) {
        Some(BUSY | LOCKED) => Error::Unreachable(error.into()),
        Some(code) if REFUSALS.contains(&code) => Error::Refused(error.into()),
        _ if never_sent(&error) => Error::Unreachable(error.into()),
        _ => Error::Unanswered(error.into()),
    }
}

/// Whether no connection was to be had in the first place.
fn never_sent(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
}

pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(result_code(error), Some(BUSY | LOCKED))
}

pub(crate) fn is_read_only(error: &sqlx::Error) -> bool {
    result_code(error) == Some(READONLY)
}

pub(crate) fn is_not_a_database(error: &sqlx::Error) -> bool {
    result_code(error) == Some(NOTADB)
}

/// SQLite's primary result code, without what the extended code adds.
fn result_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<i32>().ok()? & 0xff)
}

#[cfg(test)]
mod tests {
    use cloakroom_core::commit::{Change, Commit, Expect, Guard, Room, SignIn};
    use cloakroom_core::store::{Announce, Keep};
    use cloakroom_core::{Ended, Key, Kind, Outcome, Record, Store, Timestamp};

    use super::Error;
    use crate::SqlStore;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const PLENTY: usize = 10_000_000;

    async fn limit_pages(store: &SqlStore, pages: &'static str) {
        let query = sqlx::query(pages);
        query.fetch_one(store.writer().unwrap()).await.unwrap();
    }

    fn large(sign_in: Option<SignIn>) -> Commit {
        let room = Room { fields: 9, bytes: PLENTY };
        let mut commit = Commit::new(None, room);
        let change = Change { to: Some(vec![7; PLENTY / 10].into()), expect: Expect::Any };
        commit.fields.insert("large".to_owned(), change);
        commit.sign_in = sign_in;
        commit
    }

    /// SQLite may roll back by itself where the disk is full, and then the driver's own rollback
    /// fails: the connection must not stay unusable.
    #[tokio::test]
    async fn a_full_disk_refuses_and_the_next_write_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db", directory.path().display());
        let store = SqlStore::connect(&url).await.unwrap();
        let key = Key::random(Kind::Session);
        let record = Record::new(None, NOW);
        let _ = store.create(key, &record, None, NOW).await.unwrap();
        let seated = SignIn { principal: "alice".to_owned(), seats: Some(3) };

        for sign_in in [None, Some(seated)] {
            limit_pages(&store, "PRAGMA max_page_count = 20").await;
            let error = store.commit(key, &large(sign_in.clone()), NOW).await;
            assert!(matches!(error, Err(Error::Refused(_))), "{error:?}");
            assert_eq!(store.load(key, NOW).await.unwrap(), Some(record.clone()));
            limit_pages(&store, "PRAGMA max_page_count = 1000000").await;
        }
        let outcome = store.commit(key, &large(None), NOW).await.unwrap();
        assert_eq!(outcome, Outcome::Done { version: 2 });
    }

    /// A connection whose rollback failed still counts a transaction, in which none can begin.
    #[tokio::test]
    async fn a_connection_left_in_a_transaction_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db", directory.path().display());
        let store = SqlStore::connect(&url).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
        drop(tx);
        let announce = Announce { reason: Ended::Revoked, keep: Keep::Nothing };
        let key = Key::random(Kind::Session);
        let ended = store.end(key, &Guard::None, announce, NOW).await;
        assert_eq!(ended.unwrap(), None);
    }

    #[tokio::test]
    async fn a_closed_store_is_unreachable() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db", directory.path().display());
        let store = SqlStore::connect(&url).await.unwrap();
        store.close().await;
        let key = Key::random(Kind::Session);
        let loaded = store.load(key, NOW).await;
        assert!(matches!(loaded, Err(Error::Unreachable(_))));
        let record = Record::new(None, NOW);
        let created = store.create(key, &record, None, NOW).await;
        assert!(matches!(created, Err(Error::Unreachable(_))));
    }
}
