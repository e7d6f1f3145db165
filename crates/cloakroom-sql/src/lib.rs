//! Cloakroom's sessions in an SQL database: SQLite, for several processes on one machine.
//!
//! ```no_run
//! # async fn example() -> Result<(), cloakroom_sql::ConnectError> {
//! let store = cloakroom_sql::SqlStore::connect("sqlite:///var/lib/app/sessions.db").await?;
//! # Ok(())
//! # }
//! ```
//!
//! The procedure is in `store`, `directory` and `endings`; every SQL text is in `dialect`.

mod connect;
mod dialect;
mod directory;
mod endings;
mod error;
mod file;
mod identity;
mod options;
mod rows;
mod schema;
mod store;

pub use connect::{ConnectError, SqlStore};
pub use options::{Options, Synchronous};
