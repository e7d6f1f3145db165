//! Real servers, started for a test and gone with it.

mod certificates;
mod cluster;
mod mongo;
mod process;
mod redis;
mod sentinel;

pub use certificates::Certificates;
pub use cluster::{Cluster, Move};
pub use mongo::{Mongo, MongoDatabase};
pub use redis::Redis;
pub use sentinel::Sentinel;
