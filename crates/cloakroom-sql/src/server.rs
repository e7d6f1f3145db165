//! A database server: a pool of our own, or one that was handed in.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, Executor};
use tokio::time::{Instant, timeout_at};

use crate::connect::ConnectError;
use crate::dialect::Dialect;
use crate::fault::{Fault, Late, Sort, Stage};
use crate::link::{Held, Link, Wire};
use crate::pool::{NoLink, Pool};
use crate::schema;

/// How long an opening waits for a connection.
const CONNECTING: Duration = Duration::from_secs(10);
/// How long an opening may take from then on.
const OPENING: Duration = Duration::from_secs(120);

/// Connections to a server.
pub(crate) enum Server<DB: sqlx::Database> {
    Own(Arc<Pool<DB::Connection>>, u32),
    Theirs(sqlx::Pool<DB>),
}

/// A kind of server.
pub(crate) trait Kind: sqlx::Database {
    /// A connection as every database's.
    fn wire(held: Held<Self>) -> Wire;
    /// Whether a connection was refused for what the URL says.
    fn refuses(error: &sqlx::Error) -> bool;
    /// Says what to do about an error of an opening.
    fn explain(error: sqlx::Error, place: &str) -> ConnectError;
    /// Tells a server that is too old.
    fn check(link: &mut Link) -> impl Future<Output = Result<(), ConnectError>> + Send;
}

/// Brings the tables up to date, and sees whether they may be written to.
pub(crate) async fn prepare<DB: Kind>(
    server: &Server<DB>,
    dialect: &'static Dialect,
    place: &str,
) -> Result<(), ConnectError>
where
    DB::Connection: Connection<Database = DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    let done = match server.opening().await {
        Ok(link) => try_to_prepare::<DB>(link, dialect).await,
        Err(fault) => Err(fault.into()),
    };
    done.map_err(|error| match error {
        ConnectError::Driver(source) => match source.downcast::<sqlx::Error>() {
            Ok(error) => DB::explain(*error, place),
            Err(source) if source.is::<Late>() => {
                ConnectError::NoServer { place: place.to_owned(), source }
            }
            Err(source) => ConnectError::Driver(source),
        },
        other => other,
    })
}

async fn try_to_prepare<DB: Kind>(
    mut link: Link,
    dialect: &'static Dialect,
) -> Result<(), ConnectError> {
    DB::check(&mut link).await?;
    schema::migrate(dialect, &mut link).await?;
    link.change(dialect.write_nothing, Vec::new()).await?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("the store is closed")]
struct Closed;

impl<DB: Kind> Server<DB>
where
    DB::Connection: Connection<Database = DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    /// Takes a connection for one call.
    pub(crate) async fn link(&self, deadline: Instant) -> Result<Link, Fault> {
        let held = match self {
            Self::Own(pool, _) => match pool.take(deadline).await {
                Ok(lease) => Held::Own(lease),
                Err(NoLink::Late) => return Err(Fault::unreached(Late)),
                Err(NoLink::Closed) => return Err(Fault::unreached(Closed)),
                Err(NoLink::Driver(error)) => return Err(no_link::<DB>(error)),
            },
            Self::Theirs(pool) => match timeout_at(deadline, pool.acquire()).await {
                Ok(Ok(connection)) => Held::Theirs(connection),
                Ok(Err(error)) => return Err(no_link::<DB>(error)),
                Err(_) => return Err(Fault::unreached(Late)),
            },
        };
        Ok(Link::new(DB::wire(held), Some(deadline)))
    }

    /// Takes one to open the database by: what is done then may take long, as where another node
    /// makes tables.
    pub(crate) async fn opening(&self) -> Result<Link, Fault> {
        let mut link = self.link(Instant::now() + CONNECTING).await?;
        link.extend(Instant::now() + OPENING);
        Ok(link)
    }

    pub(crate) async fn close(&self) {
        if let Self::Own(pool, most) = self {
            pool.close(*most).await;
        }
    }
}

fn no_link<DB: Kind>(error: sqlx::Error) -> Fault {
    let sort = if DB::refuses(&error) { Sort::Refused } else { Sort::Unreached };
    Fault::new(sort, Stage::Asking, error)
}
