//! Opens a database, and gives each call its connection.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::Key;
use cloakroom_core::store::{self, Feed};
use tokio::time::Instant;

use crate::dialect::{Database, Dialect};
use crate::fault::{Failure, Fault, Step};
use crate::link::Link;
use crate::options::Options;
use crate::rows::Row;
use crate::schema;

/// Sessions in an SQL database, which any number of processes may share: those of one machine an
/// SQLite file, those of many a server.
///
/// The database may be the application's own: all tables begin with `cloakroom_`.
///
/// An SQLite file is put into WAL mode. It must not be on a network file system, and must not be
/// removed or replaced while a process has it open. Where it is, every call that writes or sweeps
/// notices, and from then on every call is refused, until the process is restarted; what was
/// written before that is lost with the file. Only Unix can tell; elsewhere nothing is noticed.
///
/// PostgreSQL tells of changes, so that near caches over it are coherent; see [`Options::notify`].
/// Behind a pooler that gives a connection to another client in between, nothing is heard, and the
/// caches stay empty. MySQL and MariaDB tell nothing: there is no cache over them.
///
/// Cloning is cheap; clones share the connections.
#[derive(Clone)]
pub struct SqlStore(Arc<Inner>);

struct Inner {
    dialect: &'static Dialect,
    pools: Pools,
    /// How long a call may take; an SQLite file has time limits of its own.
    call_timeout: Option<Duration>,
    #[cfg(feature = "postgres")]
    hearing: Option<crate::feed::Hearing>,
    /// Where the database is, without a secret.
    place: String,
}

/// The connections to a database.
pub(crate) enum Pools {
    #[cfg(feature = "sqlite")]
    Sqlite(crate::sqlite::File),
    #[cfg(feature = "postgres")]
    Postgres(crate::server::Server<sqlx::Postgres>),
    #[cfg(feature = "mysql")]
    MySql(crate::server::Server<sqlx::MySql>),
}

impl SqlStore {
    /// Opens the database at `url` with the default [`Options`]; see [`SqlStore::with_options`].
    ///
    /// # Errors
    ///
    /// As [`SqlStore::with_options`].
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::with_options(url, Options::default()).await
    }

    /// Opens the database at `url`, creating the tables where they are missing:
    ///
    /// | URL | database | feature |
    /// |---|---|---|
    /// | `sqlite://path` | an SQLite file; made, for its owner's eyes only, where it is missing | `sqlite` |
    /// | `postgres://name:password@host:port/database` | PostgreSQL 14 or newer | `postgres` |
    /// | `mysql://name:password@host:port/database` | MySQL 8 or newer, MariaDB 10.6 or newer | `mysql` |
    ///
    /// `postgresql` and `mariadb` are the same. `?sslmode=verify-full&sslrootcert=/path/ca.pem`
    /// (MySQL: `?ssl-mode=VERIFY_IDENTITY&ssl-ca=/path/ca.pem`) has only a server count that has
    /// a certificate of that authority.
    ///
    /// # Errors
    ///
    /// Where the URL, the database or what is in it does not allow it; each says what to do, and
    /// none tells a password.
    pub async fn with_options(url: &str, options: Options) -> Result<Self, ConnectError> {
        let Some((scheme, _)) = url.split_once(':') else {
            let expected = "expected sqlite://path, postgres://host/database or \
                            mysql://host/database";
            return Err(ConnectError::Url(expected.to_owned()));
        };
        match &*scheme.to_ascii_lowercase() {
            #[cfg(feature = "sqlite")]
            "sqlite" => crate::sqlite::open(url, options).await,
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => crate::postgres::open(url, options).await,
            #[cfg(feature = "mysql")]
            "mysql" | "mariadb" => crate::mysql::open(url, options).await,
            #[allow(unreachable_patterns, reason = "what is not built in comes here")]
            known @ ("sqlite" | "postgres" | "postgresql" | "mysql" | "mariadb") => {
                let feature = match known {
                    "sqlite" => "sqlite",
                    "mysql" | "mariadb" => "mysql",
                    _ => "postgres",
                };
                Err(ConnectError::NotBuiltIn(feature))
            }
            _ => {
                // What stands before the colon is not repeated: it need not be a scheme.
                let message = "it begins with none of sqlite:, postgres:, mysql: and mariadb:";
                Err(ConnectError::Url(message.to_owned()))
            }
        }
    }

    /// The statements that make the tables, for a database administrator to read and to run: then
    /// nodes need no leave to make them.
    pub fn schema(database: Database) -> String {
        schema::text(database.dialect())
    }

    /// Closes the connections, after the calls that are under way; not those of a pool that was
    /// handed in. Calls after that fail as unreachable. Dropping the store closes them as well, a
    /// moment later.
    pub async fn close(&self) {
        #[cfg(feature = "postgres")]
        if let Some(hearing) = &self.0.hearing {
            hearing.stop();
        }
        match &self.0.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite(file) => file.close().await,
            #[cfg(feature = "postgres")]
            Pools::Postgres(server) => server.close().await,
            #[cfg(feature = "mysql")]
            Pools::MySql(server) => server.close().await,
        }
    }

    /// Puts a store together whose tables are as they should be.
    pub(crate) fn draft(
        dialect: &'static Dialect,
        pools: Pools,
        place: String,
        call_timeout: Option<Duration>,
    ) -> Draft {
        Draft(Inner {
            dialect,
            pools,
            call_timeout,
            #[cfg(feature = "postgres")]
            hearing: None,
            place,
        })
    }

    pub(crate) fn dialect(&self) -> &'static Dialect {
        self.0.dialect
    }

    /// Begins a call: its time begins to pass.
    pub(crate) fn call(&self) -> Call<'_> {
        let deadline = self.0.call_timeout.map(|limit| Instant::now() + limit);
        Call { store: self, deadline }
    }

    /// Fails where an SQLite file is known to be lost.
    pub(crate) fn known(&self) -> store::Result<()> {
        match &self.0.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite(file) => file.identity.known(),
            #[allow(unreachable_patterns, reason = "there may be one kind of database only")]
            _ => Ok(()),
        }
    }

    /// Looks whether an SQLite file is still there, and fails where it is not.
    pub(crate) fn look(&self) -> store::Result<()> {
        match &self.0.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite(file) => file.identity.look(),
            #[allow(unreachable_patterns, reason = "there may be one kind of database only")]
            _ => Ok(()),
        }
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn hearing(&self) -> Option<&dyn Feed> {
        self.0.hearing.as_ref().map(|hearing| hearing as &dyn Feed)
    }

    #[cfg(not(feature = "postgres"))]
    pub(crate) fn hearing(&self) -> Option<&dyn Feed> {
        None
    }
}

/// A store that is being put together.
pub(crate) struct Draft(Inner);

impl Draft {
    /// Hears what the server tells.
    #[cfg(feature = "postgres")]
    pub(crate) fn hearing(mut self, hearing: Option<crate::feed::Hearing>) -> Self {
        self.0.hearing = hearing;
        self
    }

    pub(crate) fn done(self) -> SqlStore {
        SqlStore(Arc::new(self.0))
    }
}

/// One call of the store, and until when it has to be answered.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    store: &'a SqlStore,
    deadline: Option<Instant>,
}

impl Call<'_> {
    pub(crate) fn dialect(&self) -> &'static Dialect {
        self.store.0.dialect
    }

    /// Whether there is time to do something again. An SQLite file has its own limits, and nothing
    /// there is done again.
    pub(crate) fn has_time(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() < deadline)
    }

    /// Until when a server has to answer.
    fn until(&self) -> Instant {
        self.deadline.unwrap_or_else(Instant::now)
    }

    /// A connection to read by.
    pub(crate) async fn reading(&self) -> Step<Link> {
        match &self.store.0.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite(file) => file.reader().await,
            #[allow(unreachable_patterns, reason = "there may be one kind of database only")]
            _ => self.writing().await,
        }
    }

    /// A connection to write by.
    pub(crate) async fn writing(&self) -> Step<Link> {
        match &self.store.0.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite(file) => file.writer().await,
            #[cfg(feature = "postgres")]
            Pools::Postgres(server) => Ok(server.link(self.until()).await?),
            #[cfg(feature = "mysql")]
            Pools::MySql(server) => Ok(server.link(self.until()).await?),
        }
    }

    /// A connection to write by, for a call that has read by `link`: the same, but in SQLite.
    pub(crate) async fn writing_after(&self, link: Link) -> Step<Link> {
        match &self.store.0.pools {
            #[cfg(feature = "sqlite")]
            Pools::Sqlite(file) => {
                drop(link);
                file.writer().await
            }
            #[allow(unreachable_patterns, reason = "there may be one kind of database only")]
            _ => Ok(link),
        }
    }

    /// Has caches told where a record was read from another server than the feed's.
    pub(crate) fn check_reader(&self, row: &Row, key: Key) {
        #[cfg(feature = "postgres")]
        if let Some(hearing) = &self.store.0.hearing
            && let Ok(server) = row.int(1)
        {
            hearing.answered(server, key);
        }
        let _ = (row, key);
    }

    /// Has caches told where a record was changed at another server than the feed's.
    pub(crate) fn check_writer(&self, link: &Link, key: Key) {
        #[cfg(feature = "postgres")]
        if let (Some(hearing), Some(server)) = (&self.store.0.hearing, link.server()) {
            hearing.answered(server, key);
        }
        let _ = (link, key);
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore").field("place", &self.0.place).finish_non_exhaustive()
    }
}

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a database that this crate knows.
    #[error("not the URL of a session database: {0}")]
    Url(String),
    /// The crate was built without this database.
    #[error("this database is not built in: enable the feature `{0}` of cloakroom-sql")]
    NotBuiltIn(&'static str),
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
    /// A newer version of this crate has made the tables, and says that this one cannot use them.
    #[error("the tables have version {found}; this version knows up to {known}: upgrade this node")]
    NewerSchema {
        /// The tables' version.
        found: usize,
        /// The newest that this crate knows.
        known: usize,
    },
    /// Another node has been making the tables for longer than this one waits, or has stopped over
    /// it.
    #[error("another node holds the lock under which tables are made: try again when it is done")]
    Migrating,
    /// The file cannot be found or made.
    #[error("the database's file cannot be used")]
    File(#[source] std::io::Error),
    /// The server is not there, or not ready.
    #[error(
        "the database server at {place} cannot be reached: is it running, and is this its address?"
    )]
    NoServer {
        /// Where it should be.
        place: String,
        /// What the driver says.
        source: store::Source,
    },
    /// The server does not take the name and the password.
    #[error("the database server at {place} refuses this name or password: check those in the URL")]
    Credentials {
        /// Where it is.
        place: String,
        /// What the server says.
        source: store::Source,
    },
    /// The driver does not sign in in this way.
    #[error(
        "the database server at {place} cannot be signed in to in this way: MySQL takes most \
         passwords over TLS or a socket only (leave out ssl-mode=DISABLED), and certificates have \
         to be readable"
    )]
    WayIn {
        /// Where it is.
        place: String,
        /// What the driver says.
        source: store::Source,
    },
    /// The server has no such database.
    #[error("{place}: there is no such database: create it first, or name another in the URL")]
    NoDatabase {
        /// Where it should be.
        place: String,
    },
    /// The server is older than what this crate needs.
    #[error("the database server has version {found}, and {needed} or newer is needed: upgrade it")]
    TooOld {
        /// The server's version.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
    /// The server only reads.
    #[error("the database server at {place} is read-only: name the one that may be written to")]
    ReadOnlyServer {
        /// Where it is.
        place: String,
    },
    /// The user may not make or use the tables.
    #[error(
        "the user may not make or use the tables: grant it that, or have an administrator run what \
         `SqlStore::schema` returns and grant SELECT, INSERT, UPDATE and DELETE"
    )]
    Forbidden(#[source] store::Source),
    /// Anything else that the driver says.
    #[error("the database, or a file beside it, cannot be opened")]
    Driver(#[source] store::Source),
}

impl From<Fault> for ConnectError {
    fn from(fault: Fault) -> Self {
        Self::Driver(fault.into_source())
    }
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Statement(fault) => fault.into(),
            Failure::Store(error) => Self::Driver(error.into()),
        }
    }
}
