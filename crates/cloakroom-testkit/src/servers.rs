//! Real servers, started for a test and gone with it.

mod process;
mod redis;

pub use redis::Redis;
