//! What SQLite has to keep beyond the laws: several processes, faults, and the file itself.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod faults;
mod opening;
mod processes;

use std::time::Duration;

use cloakroom_core::commit::{Change, Commit, Expect, Room};
use cloakroom_core::record::Mark;
use cloakroom_core::{Key, Kind, Outcome, Record, Store, Timestamp};
use cloakroom_sql::SqlStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const COUNTER: &str = "counter";
const ROOM: Room = Room { fields: 64, bytes: 65_536 };

/// A directory with room for one database.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.file().display())
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("sessions.db")
    }

    async fn store(&self) -> SqlStore {
        SqlStore::connect(&self.url()).await.unwrap()
    }

    /// A connection past the store, to do what the store would not.
    async fn raw(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.file());
        let options = options.create_if_missing(true);
        SqliteConnection::connect_with(&options).await.unwrap()
    }
}

fn record() -> Record {
    let mut record = Record::new(None, NOW);
    // The same each time.
    record.mark = Mark::default();
    record.idle = Some(Duration::from_secs(1800));
    record
}

async fn create(store: &SqlStore, record: &Record) -> Key {
    let key = Key::random(Kind::Session);
    let _ = store.create(key, record, None, NOW).await.unwrap();
    key
}

fn write(name: &str, bytes: Vec<u8>, expect: Expect) -> Commit {
    let mut commit = Commit::new(None, ROOM);
    let to = Some(bytes.into());
    commit.fields.insert(name.to_owned(), Change { to, expect });
    commit
}

/// Adds one to the counter, again and again until no other write comes between.
async fn count_one(store: &SqlStore, key: Key) -> u64 {
    let mut record = store.load(key, NOW).await.unwrap().unwrap();
    loop {
        let field = record.fields.get(COUNTER);
        let next = counted(&record) + 1;
        let commit = write(COUNTER, next.to_string().into_bytes(), Expect::unchanged(field));
        match store.commit(key, &commit, NOW).await.unwrap() {
            Outcome::Done { .. } => return next,
            Outcome::Conflict(current) => record = (*current).clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn counted(record: &Record) -> u64 {
    record
        .fields
        .get(COUNTER)
        .map_or(0, |field| std::str::from_utf8(&field.bytes).unwrap().parse().unwrap())
}
