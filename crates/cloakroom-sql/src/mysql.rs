//! MySQL and MariaDB: opening them, and what their errors mean.

use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError};
use sqlx::{ConnectOptions, MySqlPool};

use crate::connect::{ConnectError, Pools, SqlStore};
use crate::dialect::Database;
use crate::fault::Sort;
use crate::link::{Held, Link, Wire};
use crate::options::Options;
use crate::pool::Pool;
use crate::server::{Kind, Server, prepare};
use crate::url;

/// What a URL may say beyond the server, the user and the database.
const PARAMETERS: [&str; 6] =
    ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket", "statement-cache-capacity"];

impl Kind for sqlx::MySql {
    fn wire(held: Held<Self>) -> Wire {
        Wire::MySql(held)
    }

    /// A wrong name or password, or no such database, or none for this user; or a way in that the
    /// driver does not have.
    fn refuses(error: &sqlx::Error) -> bool {
        is_no_way_in(error) || matches!(number(error), Some(1044 | 1045 | 1049 | 1698))
    }

    fn explain(error: sqlx::Error, place: &str) -> ConnectError {
        let place = place.to_owned();
        match number(&error) {
            None if is_no_way_in(&error) => ConnectError::WayIn { place, source: error.into() },
            Some(1045 | 1698) => ConnectError::Credentials { place, source: error.into() },
            // No such database; and in MySQL also one that the user may not see.
            Some(1044 | 1049) => ConnectError::NoDatabase { place },
            Some(1290 | 1792 | 1836) => ConnectError::ReadOnlyServer { place },
            Some(1142 | 1227 | 1370) => ConnectError::Forbidden(error.into()),
            Some(1040 | 1053 | 1203) | None => {
                ConnectError::NoServer { place, source: error.into() }
            }
            Some(_) => ConnectError::Driver(error.into()),
        }
    }

    async fn check(link: &mut Link) -> Result<(), ConnectError> {
        let rows = link.fetch("SELECT CAST(version() AS BINARY)", Vec::new()).await?;
        let found = rows.first().map_or(Ok(String::new()), |row| row.text(0))?;
        match is_too_old(&found) {
            true => Err(ConnectError::TooOld { found, needed: "MySQL 8 or MariaDB 10.6" }),
            false => Ok(()),
        }
    }
}

/// Opens the database at `url`.
pub(crate) async fn open(url: &str, options: Options) -> Result<SqlStore, ConnectError> {
    let connect: MySqlConnectOptions = url::options(url, &PARAMETERS)?;
    if connect.get_database().is_none_or(str::is_empty) {
        let message = "a database is missing: expected mysql://name:password@host/database";
        return Err(ConnectError::Url(message.to_owned()));
    }
    let place = place(&connect);
    // Of the driver's settings, the mode that has `||` join texts is not wanted: the server's own
    // modes stay as they are.
    let connect = connect.pipes_as_concat(false).no_engine_substitution(false).timezone(None);
    let connect = connect.disable_statement_logging();
    // Where tables are made, a statement may take as long as it takes.
    let opening = Server::<sqlx::MySql>::Own(Pool::new(connect.clone(), String::new(), 1), 1);
    prepare(&opening, Database::MySql.dialect(), &place).await?;
    opening.close().await;
    let pool = Pool::new(connect, setup(options), options.connections);
    Ok(store(Server::Own(pool, options.connections), place, options))
}

impl SqlStore {
    /// Uses a pool that the application has, in the database and as the user of its connections;
    /// creates the tables where they are missing. Of `options`, those about calls count.
    ///
    /// The pool's connections should read what is committed (`READ COMMITTED`), or calls wait for
    /// each other more often; and `innodb_lock_wait_timeout` should be shorter than a call.
    ///
    /// # Errors
    ///
    /// As [`SqlStore::with_options`].
    pub async fn from_mysql(pool: MySqlPool, options: Options) -> Result<Self, ConnectError> {
        let place = place(&pool.connect_options());
        let server = Server::Theirs(pool);
        prepare(&server, Database::MySql.dialect(), &place).await?;
        Ok(store(server, place, options))
    }
}

fn store(server: Server<sqlx::MySql>, place: String, options: Options) -> SqlStore {
    let limit = options.bounded_call_timeout();
    SqlStore::draft(Database::MySql.dialect(), Pools::MySql(server), place, Some(limit)).done()
}

/// Whether a server of this version knows no SKIP LOCKED.
fn is_too_old(version: &str) -> bool {
    // MariaDB may say that it is MySQL 5.5.5 first, for the sake of old replicas.
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let needed = if version.contains("MariaDB") { (10, 6) } else { (8, 0) };
    found < needed
}

/// What a new connection is told: to give up by itself, a little before the call does, so that the
/// outcome is known. MySQL bounds only its waits for locks, in whole seconds.
fn setup(options: Options) -> String {
    let timeout = options.statement_timeout();
    let (seconds, exactly) = (timeout.as_secs().max(1), timeout.as_secs_f64());
    format!(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
         SET SESSION innodb_lock_wait_timeout = {seconds} \
         /*M! , SESSION max_statement_time = {exactly} */"
    )
}

/// Where a database is, as far as it may be told.
fn place(options: &MySqlConnectOptions) -> String {
    let database = options.get_database().unwrap_or_default();
    match options.get_socket() {
        Some(socket) => format!("{}/{database}", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

/// What an error of a statement means. The server answers one where the statement was rolled back,
/// or the transaction; but not where it goes down, or a COMMIT fails half-way.
pub(crate) fn sort(error: &sqlx::Error) -> Sort {
    number(error).map_or(Sort::Unknown, meaning)
}

fn meaning(number: u16) -> Sort {
    match number {
        // Deadlock; and a row that was read is another by now.
        1213 | 1020 => Sort::Overtaken,
        // A lock that was not to be had, and a statement that took too long.
        1205 | 1969 | 3024 => Sort::Busy,
        1062 => Sort::Duplicate,
        // The server goes down, or ends the connection; an error of COMMIT; not ready for use,
        // as in a cluster that has fallen apart.
        1053 | 1077 | 1079 | 1152 | 1180 | 1317 | 1927 | 4031 => Sort::Unknown,
        // The network failed; and what a proxy in front says of its connection to the server, as
        // a client (2000 and on) or in numbers of its own (9000 and on).
        1158..=1161 | 2000..=2999 | 9000..=9999 => Sort::Unknown,
        _ => Sort::Refused,
    }
}

/// Whether the driver would need a password's RSA, which is off, or cannot use a certificate.
fn is_no_way_in(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Configuration(_))
}

fn number(error: &sqlx::Error) -> Option<u16> {
    let said: &MySqlDatabaseError = error.as_database_error()?.try_downcast_ref()?;
    Some(said.number())
}

#[cfg(test)]
mod tests {
    use super::{Sort, is_too_old, meaning};

    #[test]
    fn an_error_that_proves_nothing_is_told_from_one_that_does() {
        for number in [1053, 1158, 1161, 1180, 2000, 2003, 2006, 2013, 2999, 9000, 9001, 9999] {
            assert_eq!(meaning(number), Sort::Unknown, "{number}");
        }
        for number in [1044, 1157, 1162, 1290, 1999, 3000, 8999, 10000] {
            assert_eq!(meaning(number), Sort::Refused, "{number}");
        }
        assert_eq!(meaning(1213), Sort::Overtaken);
        assert_eq!(meaning(1205), Sort::Busy);
        assert_eq!(meaning(1062), Sort::Duplicate);
    }

    #[test]
    fn old_servers_are_told_from_those_that_will_do() {
        for old in ["5.7.44-log", "10.5.23-MariaDB", "5.5.5-10.3.39-MariaDB", ""] {
            assert!(is_too_old(old), "{old}");
        }
        for new in ["8.0.36", "9.1.0", "10.6.0-MariaDB", "5.5.5-10.11.6-MariaDB", "11.4.2-MariaDB"]
        {
            assert!(!is_too_old(new), "{new}");
        }
    }
}
