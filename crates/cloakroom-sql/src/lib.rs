//! Cloakroom's sessions in an SQL database: SQLite, for several processes on one machine, and
//! PostgreSQL, MySQL and MariaDB, for many.
//!
//! ```no_run
//! # async fn example() -> Result<(), cloakroom_sql::ConnectError> {
//! let store = cloakroom_sql::SqlStore::connect("postgres://app@db.example.org/app").await?;
//! # Ok(())
//! # }
//! ```
//!
//! Every test runs the laws over PostgreSQL and MariaDB as Debian has them (15 and 10.11), and
//! `scripts/test mysql` over MySQL. Measured last: MariaDB 10.11.19, MySQL 9.7.4 and MySQL 8.0.36.
//!
//! The procedure is in `store`, `sweep`, `directory` and `endings`, once for all of them; every SQL
//! text is in `dialect`, and what else differs in `sqlite`, `postgres` and `mysql`.

#![cfg_attr(
    not(all(feature = "sqlite", feature = "postgres", feature = "mysql")),
    allow(dead_code, reason = "some of it only another database needs")
)]

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
compile_error!("enable at least one of the features `sqlite`, `postgres` and `mysql`");

mod connect;
mod dialect;
mod directory;
mod endings;
mod fault;
#[cfg(feature = "postgres")]
mod feed;
#[cfg(feature = "sqlite")]
mod file;
#[cfg(feature = "sqlite")]
mod identity;
mod link;
#[cfg(feature = "postgres")]
mod listener;
#[cfg(feature = "mysql")]
mod mysql;
mod options;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod sweep;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod url;

pub use connect::{ConnectError, SqlStore};
pub use dialect::Database;
pub use options::{Options, Synchronous};
