//! Brings a database's tables to the version that this crate knows.

use sqlx::{Connection, SqliteConnection};

use crate::connect::ConnectError;
use crate::dialect::Dialect;

/// Creates or upgrades the tables. Does nothing, and waits for nobody, where they are as they
/// should be; of several that begin at the same moment one does the work.
pub(crate) async fn migrate(
    dialect: &Dialect,
    connection: &mut SqliteConnection,
) -> Result<(), ConnectError> {
    if version(dialect, connection).await? == known(dialect) {
        return Ok(());
    }
    let mut tx = connection.begin_with(dialect.begin).await?;
    let found = version(dialect, &mut tx).await?;
    let missing = dialect.migrations.get(found..);
    let missing = missing.ok_or(ConnectError::NewerSchema { found, known: known(dialect) })?;
    for statement in missing.concat() {
        sqlx::query(statement).execute(&mut *tx).await?;
    }
    let now = i64::try_from(known(dialect)).unwrap_or(i64::MAX);
    let note = sqlx::query(dialect.set_schema_version).bind(now);
    note.execute(&mut *tx).await?;
    Ok(tx.commit().await?)
}

/// The statements that [`migrate`] runs on a fresh database, for somebody to read.
pub(crate) fn text(dialect: &Dialect) -> String {
    let statements = dialect.migrations.iter().copied().flatten();
    statements.map(|statement| format!("{statement};\n")).collect()
}

fn known(dialect: &Dialect) -> usize {
    dialect.migrations.len()
}

/// The version of the tables that are there; 0 where there are none.
async fn version(
    dialect: &Dialect,
    connection: &mut SqliteConnection,
) -> Result<usize, sqlx::Error> {
    let tables: i64 = sqlx::query_scalar(dialect.has_schema).fetch_one(&mut *connection).await?;
    if tables == 0 {
        return Ok(0);
    }
    let version: i64 = sqlx::query_scalar(dialect.schema_version).fetch_one(connection).await?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}
