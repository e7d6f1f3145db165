//! Brings a database's tables to the version that this crate knows.
//!
//! Two versions live side by side while nodes are upgraded one after the other. So a migration
//! says which versions can go on with the tables as it leaves them, and a database that is newer
//! than this crate is used where it says that this crate can.

use crate::connect::ConnectError;
use crate::dialect::Dialect;
use crate::fault::{Fault, Stage};
use crate::link::Link;
use crate::rows::Value;

/// What leads from one version of the schema to the next.
#[derive(Debug)]
pub(crate) struct Migration {
    /// The oldest version of the schema whose nodes can work with the tables after it. One that
    /// only adds what may be missing leaves it as it was before.
    pub(crate) readable_from: usize,
    pub(crate) statements: &'static [&'static str],
}

/// Creates or upgrades the tables. Does nothing, and waits for nobody, where they are as they
/// should be; of several that begin at the same moment one does the work.
pub(crate) async fn migrate(dialect: &Dialect, link: &mut Link) -> Result<(), ConnectError> {
    if version(dialect, link).await? == known(dialect) {
        return Ok(());
    }
    link.begin(dialect.begin).await?;
    lock(dialect, link).await?;
    let found = version(dialect, link).await?;
    let Some(missing) = dialect.migrations.get(found..) else {
        let readable = readable_from(dialect, link).await? <= known(dialect);
        link.rollback().await;
        unlock(dialect, link).await?;
        let newer = ConnectError::NewerSchema { found, known: known(dialect) };
        return if readable { Ok(()) } else { Err(newer) };
    };
    for statement in missing.iter().flat_map(|migration| migration.statements) {
        link.say(statement, Stage::Asking).await?;
    }
    let readable = dialect.migrations.last().map_or(0, |last| last.readable_from);
    let noted = vec![int(known(dialect)), int(readable)];
    link.change(dialect.set_schema_version, noted).await?;
    link.commit().await?;
    Ok(unlock(dialect, link).await?)
}

/// Has nobody else migrate. Where something fails before [`unlock`], the link is still in its
/// transaction: its connection is closed, and the lock goes with it.
async fn lock(dialect: &Dialect, link: &mut Link) -> Result<(), ConnectError> {
    let Some(lock) = dialect.lock_schema else {
        return Ok(());
    };
    match number(lock, link).await? {
        1 => Ok(()),
        _ => Err(ConnectError::Migrating),
    }
}

async fn unlock(dialect: &Dialect, link: &mut Link) -> Result<(), Fault> {
    match dialect.unlock_schema {
        Some(unlock) => link.fetch(unlock, Vec::new()).await.map(drop),
        None => Ok(()),
    }
}

/// The statements that [`migrate`] runs on a fresh database, for somebody to read and to run.
pub(crate) fn text(dialect: &Dialect) -> String {
    let all = dialect.migrations.iter().flat_map(|migration| migration.statements);
    let mut text: String = all.map(|statement| format!("{statement};\n")).collect();
    let (version, readable) =
        (known(dialect), dialect.migrations.last().map_or(0, |last| last.readable_from));
    text.push_str(&format!(
        "UPDATE cloakroom_schema SET version = {version}, readable_from = {readable};\n"
    ));
    text
}

fn known(dialect: &Dialect) -> usize {
    dialect.migrations.len()
}

fn int(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The version of the tables that are there; 0 where there are none.
async fn version(dialect: &Dialect, link: &mut Link) -> Result<usize, Fault> {
    match number(dialect.has_schema, link).await? {
        0 => Ok(0),
        _ => number(dialect.schema_version, link).await,
    }
}

async fn readable_from(dialect: &Dialect, link: &mut Link) -> Result<usize, Fault> {
    number(dialect.readable_from, link).await
}

async fn number(statement: &'static str, link: &mut Link) -> Result<usize, Fault> {
    let rows = link.fetch(statement, Vec::new()).await?;
    let number = rows.first().map_or(Ok(0), |row| row.int(0))?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}
