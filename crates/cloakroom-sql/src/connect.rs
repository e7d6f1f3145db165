//! Opens a database: one connection that writes, a few that read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cloakroom_core::store;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection, SqlitePool};
use tokio::time::Instant;

use crate::dialect::{Dialect, SQLITE};
use crate::error::{is_busy, is_not_a_database, is_read_only};
use crate::identity::{Identity, Lost};
use crate::options::{Options, Synchronous};
use crate::{file, schema};

/// How long an opening pauses before it asks a busy file again.
const PAUSE: Duration = Duration::from_millis(10);

/// Sessions in an SQLite database, which any number of processes on one machine may share.
///
/// The database may be the application's own: all tables begin with `cloakroom_`. It is put into
/// WAL mode. It must not be on a network file system.
///
/// The file must not be removed or replaced while a process has it open. Where it is, every call
/// that writes or sweeps notices, and from then on every call is refused, until the process is
/// restarted; what was written before that is lost with the file. Only Unix can tell; elsewhere
/// nothing is noticed.
///
/// Cloning is cheap; clones share the connections.
#[derive(Clone)]
pub struct SqlStore {
    pub(crate) dialect: &'static Dialect,
    pub(crate) file: Identity,
    writer: SqlitePool,
    readers: SqlitePool,
    path: PathBuf,
}

impl SqlStore {
    /// Opens the database at `url`, `sqlite://path`, with the default [`Options`].
    ///
    /// # Errors
    ///
    /// As [`SqlStore::with_options`].
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::with_options(url, Options::default()).await
    }

    /// Opens the database at `url`, `sqlite://path`, creating the file and the tables where they
    /// are missing. A new file is readable to its owner only.
    ///
    /// # Errors
    ///
    /// Where the URL, the file or what is in it does not allow it; each says what to do.
    pub async fn with_options(url: &str, options: Options) -> Result<Self, ConnectError> {
        let path = file::path(url)?;
        file::ensure(&path)?;
        let file = Identity::of(&path);
        prepare(&path, options).await.map_err(|error| error.at(&path))?;
        let opened = open(&path, options, &file).await.map_err(ConnectError::from);
        file.look().map_err(|_| ConnectError::Replaced(path.clone()))?;
        let (writer, readers) = opened.map_err(|error| error.at(&path))?;
        Ok(Self { dialect: &SQLITE, file, writer, readers, path })
    }

    /// The connection that writes. Whoever asks for it means to write, so it looks first whether
    /// the file is still there.
    pub(crate) fn writer(&self) -> Result<&SqlitePool, store::Error> {
        self.file.look()?;
        Ok(&self.writer)
    }

    /// The connections that read.
    pub(crate) fn readers(&self) -> Result<&SqlitePool, store::Error> {
        self.file.known()?;
        Ok(&self.readers)
    }

    /// The statements that make the tables, for a database administrator to read.
    pub fn schema() -> String {
        schema::text(&SQLITE)
    }

    /// Closes the connections, after the calls that are under way. Calls after that fail as
    /// unreachable. Dropping the store closes them as well, a moment later.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl std::fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlStore").field("path", &self.path).finish()
    }
}

/// Puts the file into WAL mode and brings its tables up to date.
///
/// The change of mode answers that the file is busy without waiting, where another process does
/// the same at this moment; so this begins again, for as long as a call may wait.
async fn prepare(path: &Path, options: Options) -> Result<(), ConnectError> {
    let deadline = Instant::now() + options.bounded_busy_timeout();
    loop {
        match try_to_prepare(path, options).await {
            Err(ConnectError::Driver(error)) if is_busy(&error) && Instant::now() < deadline => {
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

async fn try_to_prepare(path: &Path, options: Options) -> Result<(), ConnectError> {
    let mut connection = connect_options(path, options).connect().await?;
    use_wal(&mut connection).await?;
    schema::migrate(&SQLITE, &mut connection).await?;
    may_write(&mut connection).await
}

/// Tells a file that may only be read, which SQLite opens all the same. One that is busy may be
/// written to.
async fn may_write(connection: &mut SqliteConnection) -> Result<(), ConnectError> {
    let nothing = sqlx::query(SQLITE.write_nothing).execute(connection).await;
    match nothing {
        Err(error) if !is_busy(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

async fn use_wal(connection: &mut SqliteConnection) -> Result<(), ConnectError> {
    for pragma in ["PRAGMA journal_mode", "PRAGMA journal_mode = WAL"] {
        let mode: String = sqlx::query_scalar(pragma).fetch_one(&mut *connection).await?;
        if mode == "wal" {
            return Ok(());
        }
    }
    Err(ConnectError::NoWal)
}

/// Opens one connection that writes, and those that read.
///
/// A connection in which a rollback has failed, as after SQLite rolled back by itself, still
/// counts a transaction; it is closed rather than used again. A connection that is made later must
/// be to the same file.
async fn open(
    path: &Path,
    options: Options,
    file: &Identity,
) -> Result<(SqlitePool, SqlitePool), sqlx::Error> {
    let pool = |most| {
        let file = file.clone();
        SqlitePoolOptions::new()
            .after_connect(move |_, _| {
                let same = file.look().map_err(|_| sqlx::Error::Configuration(Lost.into()));
                Box::pin(async move { same })
            })
            .max_connections(most)
            .acquire_timeout(options.bounded_busy_timeout())
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .before_acquire(|connection, _| {
                Box::pin(async move { Ok(!sqlx::Connection::is_in_transaction(connection)) })
            })
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

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a database that this crate knows.
    #[error("not the URL of a session database: {0}")]
    Url(String),
    /// The file's directory is missing. It is not made: a misspelt path should not go unnoticed.
    #[error("the directory {} does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// There is a directory where the file should be.
    #[error("{} is a directory: name a file in it", .0.display())]
    IsDirectory(PathBuf),
    /// The file may not be written to.
    #[error("{} is read-only", .0.display())]
    ReadOnly(PathBuf),
    /// The file was removed or replaced while it was opened.
    #[error("{} was removed or replaced while it was opened: try again", .0.display())]
    Replaced(PathBuf),
    /// The file holds something else.
    #[error("{} is not an SQLite database", .0.display())]
    NotADatabase(PathBuf),
    /// Another process kept the file locked for all of the busy timeout.
    #[error("{} is locked by another process", .0.display())]
    Busy(PathBuf),
    /// The file system does not allow what several processes need.
    #[error("the database cannot be put into WAL mode: is it on a network file system?")]
    NoWal,
    /// A newer version of this crate has made the tables.
    #[error("the tables have version {found}; this version knows up to {known}: upgrade this node")]
    NewerSchema {
        /// The tables' version.
        found: usize,
        /// The newest that this crate knows.
        known: usize,
    },
    /// The file cannot be found or made.
    #[error("the database's file cannot be used")]
    File(#[source] std::io::Error),
    /// Anything else that the driver says.
    #[error("the database, or a file beside it, cannot be opened")]
    Driver(#[from] sqlx::Error),
}

impl ConnectError {
    /// Says what the driver's error means for the file at `path`.
    fn at(self, path: &Path) -> Self {
        match self {
            Self::Driver(error) if is_not_a_database(&error) => Self::NotADatabase(path.into()),
            Self::Driver(error) if is_read_only(&error) => Self::ReadOnly(path.into()),
            Self::Driver(error) if is_busy(&error) => Self::Busy(path.into()),
            other => other,
        }
    }
}
