//! One call's connection, to whichever database: sends statements, keeps the call's deadline, and
//! sees to it that what was given up half-way is never used again.

use std::fmt;
use std::future::Future;

#[cfg(any(feature = "postgres", feature = "mysql"))]
use sqlx::Connection;
use sqlx::{SqlSafeStr, SqlStr};

use tokio::time::{Instant, timeout_at};

use crate::fault::{Fault, Late, Sort, Stage};
#[cfg(any(feature = "postgres", feature = "mysql"))]
use crate::pool::Lease;
use crate::rows::{Row, Value};

/// A connection of the pool of a database.
pub(crate) enum Wire {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::pool::PoolConnection<sqlx::Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Held<sqlx::Postgres>),
    #[cfg(feature = "mysql")]
    MySql(Held<sqlx::MySql>),
}

/// A connection of our own pool, or of one that was handed in.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) enum Held<DB: sqlx::Database> {
    Own(Lease<DB::Connection>),
    Theirs(sqlx::pool::PoolConnection<DB>),
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl<DB: sqlx::Database> Held<DB>
where
    DB::Connection: Connection,
{
    fn connection(&mut self) -> &mut DB::Connection {
        match self {
            Self::Own(lease) => &mut lease.connection,
            Self::Theirs(connection) => connection,
        }
    }

    fn put_back(self) {
        if let Self::Own(lease) = self {
            lease.put_back();
        }
    }

    fn spoil(self, lost: bool) {
        match self {
            Self::Own(lease) => lease.spoil(lost),
            Self::Theirs(mut connection) => connection.close_on_drop(),
        }
    }
}

/// Runs `$run` with `$query`, the statement with its values bound, on the connection `$c`.
macro_rules! on_wire {
    ($wire:expr, $sql:expr, $values:expr, |$query:ident, $c:ident, $row:ident| $run:expr) => {
        match $wire {
            #[cfg(feature = "sqlite")]
            Wire::Sqlite(held) => {
                let ($query, $c, $row) =
                    (crate::rows::sqlite($sql, $values), &mut **held, Row::Sqlite);
                $run
            }
            #[cfg(feature = "postgres")]
            Wire::Postgres(held) => {
                let ($query, $c, $row) =
                    (crate::rows::postgres($sql, $values), held.connection(), Row::Postgres);
                $run
            }
            #[cfg(feature = "mysql")]
            Wire::MySql(held) => {
                let ($query, $c, $row) =
                    (crate::rows::mysql($sql, $values), held.connection(), Row::MySql);
                $run
            }
        }
    };
}

impl Wire {
    async fn fetch(&mut self, sql: Sql, values: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        on_wire!(self, sql, values, |query, c, row| {
            Ok(query.fetch_all(c).await?.into_iter().map(row).collect())
        })
    }

    async fn execute(&mut self, sql: Sql, values: Vec<Value>) -> Result<u64, sqlx::Error> {
        on_wire!(self, sql, values, |query, c, _row| {
            Ok(query.execute(c).await?.rows_affected())
        })
    }

    /// Sends a statement that is not prepared first, as MySQL wants it of transactions.
    async fn say(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        match self {
            // There, preparing costs no message, and what is prepared is kept.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(held) => sqlx::query(sql).execute(&mut **held).await.map(drop),
            #[cfg(feature = "postgres")]
            Self::Postgres(held) => sqlx::raw_sql(sql).execute(held.connection()).await.map(drop),
            #[cfg(feature = "mysql")]
            Self::MySql(held) => sqlx::raw_sql(sql).execute(held.connection()).await.map(drop),
        }
    }

    /// Whether a statement answers a row for each row that it has changed.
    fn answers_changes(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
            #[allow(unreachable_patterns, reason = "there may be one kind of database only")]
            _ => false,
        }
    }

    fn sort(&self, error: &sqlx::Error) -> Sort {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => crate::sqlite::sort(error),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => crate::postgres::sort(error),
            #[cfg(feature = "mysql")]
            Self::MySql(_) => crate::mysql::sort(error),
        }
    }

    fn put_back(self) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(held) => drop(held),
            #[cfg(feature = "postgres")]
            Self::Postgres(held) => held.put_back(),
            #[cfg(feature = "mysql")]
            Self::MySql(held) => held.put_back(),
        }
    }

    fn spoil(self, _lost: bool) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(mut held) => held.close_on_drop(),
            #[cfg(feature = "postgres")]
            Self::Postgres(held) => held.spoil(_lost),
            #[cfg(feature = "mysql")]
            Self::MySql(held) => held.spoil(_lost),
        }
    }
}

/// A statement's text.
pub(crate) enum Sql {
    /// One of the table: prepared once for each connection.
    Known(&'static str),
    /// One that was made for so many rows, and whether it will be wanted again.
    Made(String, bool),
}

impl Sql {
    /// The text, and whether it is worth to be kept prepared.
    pub(crate) fn into_parts(self) -> (SqlStr, bool) {
        match self {
            Self::Known(text) => (text.into_sql_str(), true),
            // Put together of texts of the table alone.
            Self::Made(text, again) => (sqlx::AssertSqlSafe(text).into_sql_str(), again),
        }
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Known(text)
    }
}

/// One call's connection.
pub(crate) struct Link {
    wire: Option<Wire>,
    /// Until when the call has to be answered.
    deadline: Option<Instant>,
    /// A statement was begun whose answer has not come.
    unanswered: bool,
    in_transaction: bool,
    /// The server, where a statement has answered with it.
    server: Option<i64>,
}

impl Link {
    pub(crate) fn new(wire: Wire, deadline: Option<Instant>) -> Self {
        let wire = Some(wire);
        Self { wire, deadline, unanswered: false, in_transaction: false, server: None }
    }

    /// Gives it time until then.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn extend(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// Who has answered, as far as a statement says.
    pub(crate) fn server(&self) -> Option<i64> {
        self.server
    }

    /// Runs a statement that reads.
    pub(crate) async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, Fault> {
        let (deadline, wire) = self.begin_statement()?;
        let done = within(deadline, wire.fetch(sql.into(), values)).await;
        self.finish_statement(done, Stage::Asking)
    }

    /// Runs a statement that changes rows, and tells how many.
    pub(crate) async fn change(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value>,
    ) -> Result<u64, Fault> {
        let stage = if self.in_transaction { Stage::Asking } else { Stage::Writing };
        let (deadline, wire) = self.begin_statement()?;
        if !wire.answers_changes() {
            let done = within(deadline, wire.execute(sql.into(), values)).await;
            return self.finish_statement(done, stage);
        }
        let done = within(deadline, wire.fetch(sql.into(), values)).await;
        let rows = self.finish_statement(done, stage)?;
        self.note_server(rows.first().and_then(|row| row.int(0).ok()));
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }

    /// Notes who has answered.
    pub(crate) fn note_server(&mut self, server: Option<i64>) {
        self.server = server.or(self.server);
    }

    /// Begins a transaction. Dropped before it is committed, it is rolled back with its connection.
    pub(crate) async fn begin(&mut self, statement: &'static str) -> Result<(), Fault> {
        self.say(statement, Stage::Asking).await?;
        self.in_transaction = true;
        Ok(())
    }

    pub(crate) async fn commit(&mut self) -> Result<(), Fault> {
        self.say("COMMIT", Stage::Committing).await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Ends a transaction in which nothing was done. Where that does not succeed, the end of the
    /// connection does it.
    pub(crate) async fn rollback(&mut self) {
        self.in_transaction = self.say("ROLLBACK", Stage::Asking).await.is_err();
    }

    /// Runs a statement of a migration.
    pub(crate) async fn say(&mut self, sql: &'static str, stage: Stage) -> Result<(), Fault> {
        let (deadline, wire) = self.begin_statement()?;
        let done = within(deadline, wire.say(sql)).await;
        self.finish_statement(done, stage)
    }

    fn begin_statement(&mut self) -> Result<(Option<Instant>, &mut Wire), Fault> {
        self.unanswered = true;
        match &mut self.wire {
            Some(wire) => Ok((self.deadline, wire)),
            None => Err(Fault::unreached(Late)),
        }
    }

    fn finish_statement<T>(
        &mut self,
        done: Option<Result<T, sqlx::Error>>,
        stage: Stage,
    ) -> Result<T, Fault> {
        let error = match done {
            Some(Ok(done)) => {
                self.unanswered = false;
                return Ok(done);
            }
            Some(Err(error)) => error,
            None => return Err(Fault::new(Sort::Unknown, stage, Late)),
        };
        let sort = self.wire.as_ref().map_or(Sort::Unknown, |wire| wire.sort(&error));
        self.unanswered = sort == Sort::Unknown;
        Err(Fault::new(sort, stage, error))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        match self.wire.take() {
            Some(wire) if self.unanswered || self.in_transaction => wire.spoil(self.unanswered),
            Some(wire) => wire.put_back(),
            None => {}
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("in_transaction", &self.in_transaction).finish_non_exhaustive()
    }
}

/// Waits for `work`, until the deadline where there is one.
async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match deadline {
        None => Some(work.await),
        Some(deadline) => timeout_at(deadline, work).await.ok(),
    }
}
