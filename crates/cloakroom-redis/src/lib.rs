//! Keeps Cloakroom's sessions in one Redis server: a commit is one script on one record, whatever
//! it does, and a load is one GET.
//!
//! ```no_run
//! use cloakroom_redis::{Options, RedisStore};
//!
//! # async fn connect() -> Result<(), cloakroom_redis::ConnectError> {
//! let options = Options {
//!     prefix: "shop:".to_owned(),
//!     ..Options::default()
//! };
//! let store = RedisStore::connect("redis://127.0.0.1/", options).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it needs
//!
//! Redis 6.2 or later, or a server that speaks like it, with `maxmemory-policy noeviction`: every
//! other policy drops living sessions when memory runs short. What survives a crash of the server
//! is what its persistence keeps; with `appendonly yes` and `appendfsync everysec` that is all but the
//! last second. A server without persistence is used, with a warning, and said not to be durable.
//! TLS is not built in: the network between must be one to trust.
//!
//! # What a call costs
//!
//! Load, commit, create and end take one round trip. Where somebody signs in, a commit and a
//! create take three, because a user's seats live apart from their sessions. Ending such a session
//! takes two, and so does an ending in a user's name that finds none.

mod commit;
mod connect;
mod directory;
mod endings;
mod fault;
mod layout;
mod link;
mod login;
mod persistence;
mod reply;
mod script;
mod seats;
mod store;
mod sweep;

pub use connect::{ConnectError, Options};
pub use store::RedisStore;
