//! Real servers, started for a test and gone with it.

mod certificates;
mod cluster;
mod hazelcast;
mod mariadb;
mod mongo;
mod mysql;
mod nats;
mod postgres;
mod process;
mod redis;
mod sentinel;
mod server;
mod user;

pub use certificates::Certificates;
pub use cluster::{Cluster, Move};
pub use hazelcast::Hazelcast;
pub use mariadb::MariaDb;
pub use mongo::{Mongo, MongoDatabase};
pub use mysql::MySql;
pub use nats::{Nats, NatsCluster};
pub use postgres::{Postgres, PostgresDatabase};
pub use redis::Redis;
pub use sentinel::Sentinel;
pub use server::{Kind, Server};
