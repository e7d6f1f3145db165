//! SQLite: one connection that writes, a few that read, and what their errors mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cloakroom_core::store;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqliteConnection, SqlitePool};
use tokio::time::Instant;

use crate::connect::{ConnectError, Pools, SqlStore};
use crate::dialect::{Database, Dialect};
use crate::fault::{Fault, Sort, Stage, Step};
use crate::identity::{Identity, Lost};
use crate::link::{Link, Wire};
use crate::options::{Options, Synchronous};
use crate::{file, schema};

/// How long an opening pauses before it asks a busy file again.
const PAUSE: Duration = Duration::from_millis(10);

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

/// A database's file and the connections to it.
pub(crate) struct File {
    pub(crate) identity: Identity,
    writer: SqlitePool,
    readers: SqlitePool,
}

impl File {
    /// A connection that writes. Whoever asks for it means to write, so it looks first whether the
    /// file is still there.
    pub(crate) async fn writer(&self) -> Step<Link> {
        self.identity.look()?;
        self.link(self.writer.acquire().await)
    }

    /// A connection that reads.
    pub(crate) async fn reader(&self) -> Step<Link> {
        self.identity.known()?;
        self.link(self.readers.acquire().await)
    }

    fn link(&self, taken: Result<PoolConnection<Sqlite>, sqlx::Error>) -> Step<Link> {
        match taken {
            Ok(connection) => Ok(Link::new(Wire::Sqlite(connection), None)),
            Err(error) => {
                // A connection that is made only now finds a file that was removed missing.
                self.identity.look()?;
                let sort = match sort(&error) {
                    Sort::Unknown => Sort::Unreached,
                    known => known,
                };
                Err(Fault::new(sort, Stage::Asking, error).into())
            }
        }
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Opens the file at `url`, making it where it is missing.
pub(crate) async fn open(url: &str, options: Options) -> Result<SqlStore, ConnectError> {
    let path = file::path(url)?;
    file::ensure(&path)?;
    let identity = Identity::of(&path);
    let dialect = Database::Sqlite.dialect();
    prepare(dialect, &path, options).await.map_err(|error| at(error, &path))?;
    let opened = pools(&path, options, &identity).await.map_err(driver);
    identity.look().map_err(|_| ConnectError::Replaced(path.clone()))?;
    let (writer, readers) = opened.map_err(|error| at(error, &path))?;
    let pools = Pools::Sqlite(File { identity, writer, readers });
    Ok(SqlStore::draft(dialect, pools, path.display().to_string(), None).done())
}

/// Puts the file into WAL mode and brings its tables up to date.
///
/// The change of mode answers that the file is busy without waiting, where another process does
/// the same at this moment; so this begins again, for as long as a call may wait.
async fn prepare(dialect: &Dialect, path: &Path, options: Options) -> Result<(), ConnectError> {
    let deadline = Instant::now() + options.bounded_busy_timeout();
    loop {
        match try_to_prepare(dialect, path, options).await {
            Err(error) if code_of(&error).is_some_and(is_busy) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

async fn try_to_prepare(
    dialect: &Dialect,
    path: &Path,
    options: Options,
) -> Result<(), ConnectError> {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_with(connect_options(path, options)).await.map_err(driver)?;
    let mut connection = pool.acquire().await.map_err(driver)?;
    use_wal(&mut connection).await?;
    let mut link = Link::new(Wire::Sqlite(connection), None);
    let migrated = schema::migrate(dialect, &mut link).await;
    let may = match migrated {
        Ok(()) => may_write(dialect, &mut link).await,
        Err(error) => Err(error),
    };
    drop(link);
    pool.close().await;
    may
}

/// Tells a file that may only be read, which SQLite opens all the same. One that is busy may be
/// written to.
async fn may_write(dialect: &Dialect, link: &mut Link) -> Result<(), ConnectError> {
    match link.change(dialect.write_nothing, Vec::new()).await {
        Err(fault) if fault.sort != Sort::Busy => Err(fault.into()),
        _ => Ok(()),
    }
}

async fn use_wal(connection: &mut SqliteConnection) -> Result<(), ConnectError> {
    for pragma in ["PRAGMA journal_mode", "PRAGMA journal_mode = WAL"] {
        let mode = sqlx::query_scalar(pragma).fetch_one(&mut *connection).await;
        let mode: String = mode.map_err(driver)?;
        if mode == "wal" {
            return Ok(());
        }
    }
    Err(ConnectError::NoWal)
}

/// Opens one connection that writes, and those that read. A connection that is made later must be
/// to the same file.
async fn pools(
    path: &Path,
    options: Options,
    identity: &Identity,
) -> Result<(SqlitePool, SqlitePool), sqlx::Error> {
    let pool = |most| {
        let identity = identity.clone();
        SqlitePoolOptions::new()
            .after_connect(move |_, _| {
                let same = identity.look().map_err(|_| sqlx::Error::Configuration(Lost.into()));
                Box::pin(async move { same })
            })
            .max_connections(most)
            .acquire_timeout(options.bounded_busy_timeout())
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let write = connect_options(path, options);
    let read = connect_options(path, options).read_only(true);
    let writer = pool(1).connect_with(write).await?;
    let readers = pool(options.readers.max(1)).connect_with(read).await?;
    Ok((writer, readers))
}

fn connect_options(path: &Path, options: Options) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(match options.synchronous {
            Synchronous::Normal => SqliteSynchronous::Normal,
            Synchronous::Full => SqliteSynchronous::Full,
        })
        .busy_timeout(options.bounded_busy_timeout())
        .disable_statement_logging()
}

/// What an error means. A busy COMMIT leaves the transaction open, to be rolled back, and a full
/// disk has SQLite roll it back. An I/O error tells nothing: the log may hold the commit and bring
/// it back when it is next read.
pub(crate) fn sort(error: &sqlx::Error) -> Sort {
    match result_code(error) {
        Some(BUSY | LOCKED) => Sort::Busy,
        Some(CORRUPT) => Sort::Corrupt,
        Some(IOERR) => Sort::Unknown,
        Some(code) if REFUSALS.contains(&code) => Sort::Refused,
        Some(_) => Sort::Odd,
        None if matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => {
            Sort::Unreached
        }
        None => Sort::Unknown,
    }
}

/// SQLite's primary result code, without what the extended code adds.
fn result_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<i32>().ok()? & 0xff)
}

fn code_of(error: &ConnectError) -> Option<i32> {
    match error {
        ConnectError::Driver(source) => result_code(source.downcast_ref::<sqlx::Error>()?),
        _ => None,
    }
}

fn is_busy(code: i32) -> bool {
    matches!(code, BUSY | LOCKED)
}

fn driver(error: sqlx::Error) -> ConnectError {
    ConnectError::Driver(store::Source::from(error))
}

/// Says what the driver's error means for the file at `path`.
fn at(error: ConnectError, path: &Path) -> ConnectError {
    let path = PathBuf::from(path);
    match code_of(&error) {
        Some(NOTADB) => ConnectError::NotADatabase(path),
        Some(READONLY) => ConnectError::ReadOnly(path),
        Some(BUSY | LOCKED) => ConnectError::Busy(path),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_core::commit::{Change, Commit, Expect, Guard, Room, SignIn};
    use cloakroom_core::store::{Announce, Created, Error, Keep};
    use cloakroom_core::{Ended, Key, Kind, Limit, Outcome, Record, Store, Timestamp};

    use crate::SqlStore;
    use crate::rows::Value;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const PLENTY: usize = 10_000_000;

    async fn limit_pages(store: &SqlStore, pages: &'static str) {
        let mut link = store.call().writing().await.unwrap();
        link.fetch(pages, Vec::new()).await.unwrap();
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

    /// In a connection that is left in a transaction none can begin.
    #[tokio::test]
    async fn a_connection_left_in_a_transaction_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db", directory.path().display());
        let store = SqlStore::connect(&url).await.unwrap();
        let mut link = store.call().writing().await.unwrap();
        link.begin(store.dialect().begin).await.unwrap();
        drop(link);
        let announce = Announce { reason: Ended::Revoked, keep: Keep::Nothing };
        let key = Key::random(Kind::Session);
        let ended = store.end(key, &Guard::None, announce, NOW).await;
        assert_eq!(ended.unwrap(), None);
    }

    /// As one that a newer version has written.
    #[tokio::test]
    async fn a_session_that_cannot_be_read_keeps_its_seat() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/a.db", directory.path().display());
        let store = SqlStore::connect(&url).await.unwrap();
        let log_in = async |key, seats| {
            let mut record = Record::new(None, NOW);
            record.principal = Some("alice".to_owned());
            store.create(key, &record, Some(seats), NOW).await.unwrap()
        };
        let mut keys = [(); 2].map(|()| Key::random(Kind::Session));
        keys.sort_by_key(|key| *key.as_bytes());
        let [unreadable, readable] = keys;
        for key in keys {
            assert!(matches!(log_in(key, 2).await, Created::Done { .. }));
        }
        let mut link = store.call().writing().await.unwrap();
        let spoil = "UPDATE cloakroom_sessions SET record = x'ff' WHERE id = ?";
        let id = Value::Bytes(unreadable.as_bytes().to_vec());
        assert_eq!(link.change(spoil, vec![id]).await.unwrap(), 1);
        drop(link);

        let taken = vec![readable, unreadable];
        let refused = log_in(Key::random(Kind::Session), 2).await;
        assert_eq!(refused, Created::Refused(Limit::Seats { taken }));
        let done = log_in(Key::random(Kind::Session), 3).await;
        assert!(matches!(done, Created::Done { .. }));
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
