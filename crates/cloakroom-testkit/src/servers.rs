//! Real servers, started for a test and gone with it.

mod certificates;
mod cluster;
mod nats;
mod mariadb;
mod postgres;
mod process;
mod redis;
mod sentinel;
mod user;

pub use certificates::Certificates;
pub use cluster::{Cluster, Move};
pub use nats::{Nats, NatsCluster};
pub use mariadb::{MariaDb, MariaDbDatabase};
pub use postgres::{Postgres, PostgresDatabase};
pub use redis::Redis;
pub use sentinel::Sentinel;
