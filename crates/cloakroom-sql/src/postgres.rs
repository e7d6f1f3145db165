//! PostgreSQL: opening it, and what its errors mean.

use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSeverity};
use sqlx::{ConnectOptions, PgPool};

use crate::connect::{ConnectError, Pools, SqlStore};
use crate::dialect::{Database, SILENT};
use crate::fault::Sort;
use crate::feed::Hearing;
use crate::link::{Held, Link, Wire};
use crate::options::Options;
use crate::pool::Pool;
use crate::server::{Kind, Server, prepare};
use crate::url;

/// What a URL may say beyond the server, the user and the database.
const PARAMETERS: [&str; 9] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "application_name",
    "options",
    "options[search_path]",
    "statement-cache-capacity",
];

/// The oldest version that is taken, as the server numbers it.
const OLDEST: i64 = 140_000;

impl Kind for sqlx::Postgres {
    fn wire(held: Held<Self>) -> Wire {
        Wire::Postgres(held)
    }

    /// A wrong name or password, or no such database.
    fn refuses(error: &sqlx::Error) -> bool {
        code(error).is_some_and(|code| code.starts_with("28") || code == "3D000")
    }

    fn explain(error: sqlx::Error, place: &str) -> ConnectError {
        let place = place.to_owned();
        match code(&error) {
            Some("28P01" | "28000") => ConnectError::Credentials { place, source: error.into() },
            Some("3D000") => ConnectError::NoDatabase { place },
            Some("25006") => ConnectError::ReadOnlyServer { place },
            // Insufficient privilege; no schema in which to make tables.
            Some("42501" | "3F000") => ConnectError::Forbidden(error.into()),
            // The server starts, stops, or has too many clients.
            Some(code) if code.starts_with("57P") || code.starts_with("53") => {
                ConnectError::NoServer { place, source: error.into() }
            }
            Some(_) => ConnectError::Driver(error.into()),
            None => ConnectError::NoServer { place, source: error.into() },
        }
    }

    async fn check(link: &mut Link) -> Result<(), ConnectError> {
        let asked = "SELECT current_setting('server_version_num')::bigint, \
                     current_setting('server_version')";
        let rows = link.fetch(asked, Vec::new()).await?;
        if let Some(row) = rows.first()
            && row.int(0)? < OLDEST
        {
            let found = format!("PostgreSQL {}", row.text(1)?);
            return Err(ConnectError::TooOld { found, needed: "PostgreSQL 14" });
        }
        Ok(())
    }
}

/// Opens the database at `url`.
pub(crate) async fn open(url: &str, options: Options) -> Result<SqlStore, ConnectError> {
    let connect: PgConnectOptions = url::options(url, &PARAMETERS)?;
    let connect = connect.disable_statement_logging();
    let place = place(&connect);
    // Where tables are made, a statement may take as long as it takes.
    let opening = Server::<sqlx::Postgres>::Own(Pool::new(connect.clone(), String::new(), 1), 1);
    prepare(&opening, Database::Postgres.dialect(), &place).await?;
    opening.close().await;
    let pool = Pool::new(connect.clone(), setup(options), options.connections);
    let server = Server::Own(pool, options.connections);
    Ok(store(server, place, options, move || connect.clone()))
}

impl SqlStore {
    /// Uses a pool that the application has, in the database and as the user of its connections;
    /// creates the tables where they are missing. The feed has a connection of its own beside, by
    /// the pool's options. Of `options`, those about calls and notices count.
    ///
    /// How long a statement may take, and how long it may wait for a lock, is for the pool's owner
    /// to say: without `statement_timeout` and `lock_timeout`, a call that has waited for all of
    /// its time leaves unknown whether it will be carried out.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::with_options`].
    pub async fn from_postgres(pool: PgPool, options: Options) -> Result<Self, ConnectError> {
        let place = place(&pool.connect_options());
        let server = Server::Theirs(pool.clone());
        prepare(&server, Database::Postgres.dialect(), &place).await?;
        Ok(store(server, place, options, move || (*pool.connect_options()).clone()))
    }
}

fn store(
    server: Server<sqlx::Postgres>,
    place: String,
    options: Options,
    connect: impl Fn() -> PgConnectOptions + Send + Sync + 'static,
) -> SqlStore {
    let dialect = if options.notify { Database::Postgres.dialect() } else { &SILENT };
    let limit = options.bounded_call_timeout();
    let hearing = options.notify.then(|| Hearing::begin(connect, limit));
    let pools = Pools::Postgres(server);
    SqlStore::draft(dialect, pools, place, Some(limit)).hearing(hearing).done()
}

/// What a new connection is told: to give up by itself, a little before the call does, so that the
/// outcome is known; and not to hold rows for a node that has stopped.
///
/// A COMMIT that tells waits for a lock of the whole server, and no statement's timeout runs while
/// it does: only that of locks ends it, so that connections do not pile up behind a stuck one.
fn setup(options: Options) -> String {
    let statement = options.statement_timeout().as_millis();
    let transaction = 2 * options.bounded_call_timeout().as_millis();
    format!(
        "SET statement_timeout = {statement}; \
         SET lock_timeout = {statement}; \
         SET idle_in_transaction_session_timeout = {transaction}; \
         SET default_transaction_isolation = 'read committed'"
    )
}

/// Where a database is, as far as it may be told.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{}/{database}", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

/// What an error of a statement means. The server answers an error only where it has rolled back;
/// a connection that ends says so as well, and proves nothing.
pub(crate) fn sort(error: &sqlx::Error) -> Sort {
    said(error).map_or(Sort::Unknown, |said| meaning(said.severity(), said.code()))
}

fn meaning(severity: PgSeverity, code: &str) -> Sort {
    if matches!(severity, PgSeverity::Fatal | PgSeverity::Panic) {
        return Sort::Unknown;
    }
    match code {
        // Serialization failure and deadlock.
        "40001" | "40P01" => Sort::Overtaken,
        // Cancelled, which is by a timeout; and a lock that was not to be had. In a COMMIT as well:
        // it takes its last lock, that of the notices, before it writes that it has committed.
        "57014" | "55P03" => Sort::Busy,
        // A lost connection: what a proxy in front says of the one behind it.
        code if code.starts_with("08") => Sort::Unknown,
        _ => Sort::Refused,
    }
}

fn said(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

fn code(error: &sqlx::Error) -> Option<&str> {
    Some(said(error)?.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_proves_nothing_is_told_from_one_that_does() {
        let error = |code| meaning(PgSeverity::Error, code);
        for code in ["08000", "08003", "08006", "08007", "08P01"] {
            assert_eq!(error(code), Sort::Unknown, "{code}");
        }
        assert_eq!(meaning(PgSeverity::Fatal, "57P01"), Sort::Unknown);
        for code in ["57014", "55P03"] {
            assert_eq!(error(code), Sort::Busy, "{code}");
        }
        for code in ["40001", "40P01"] {
            assert_eq!(error(code), Sort::Overtaken, "{code}");
        }
        for code in ["25006", "42501", "53100", "0A000"] {
            assert_eq!(error(code), Sort::Refused, "{code}");
        }
    }
}
