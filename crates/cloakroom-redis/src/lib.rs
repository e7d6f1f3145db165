//! Keeps Cloakroom's sessions in Redis, on one server, behind Sentinel or in a Cluster: a commit is
//! one script on one record, whatever it does, and a load is one GET.
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
//! Which URL leads where is said at [`RedisStore::connect`].
//!
//! # What it needs
//!
//! Redis 6.2 or later, or a server that speaks like it, with `maxmemory-policy noeviction`: every
//! other policy drops living sessions when memory runs short. What survives a crash of the server
//! is what its persistence keeps; with `appendonly yes` and `appendfsync everysec` that is all but the
//! last second. A server without persistence is used, with a warning, and said not to be durable.
//!
//! # What a call costs
//!
//! Load, commit, create and end take one round trip; a commit that another writer came before takes
//! two. Where somebody signs in, a commit and a
//! create take three, because a user's seats live apart from their sessions. Ending such a session
//! takes two, and so does an ending in a user's name that finds none.
//!
//! # When servers fail
//!
//! A call that cannot be carried out is an error: nothing that a server says of itself (that it
//! loads its data, is a replica, is busy, is full) is ever taken for the absence of a session.
//! While a server is away, calls fail at once, and it is tried again after 20 milliseconds, then
//! ever more seldom, down to once a second.
//!
//! - **Sentinel.** The master is asked for with every new connection, and has to say itself that it
//!   is one. Failovers are listened for: an old master that lives on accepts writes for seconds
//!   that nobody keeps, so its connection is given up as soon as a sentinel tells. What it accepted
//!   before that is lost; `min-replicas-to-write 1` on the servers keeps it from accepting what no
//!   replica has heard of.
//! - **Cluster.** A session that has moved is followed to its new master. While the slot of a
//!   session is on its way, calls on it that need both of its halves wait for up to a second and
//!   are refused then. While a master is dead, its part of the sessions fails, and the rest is
//!   served; counting and paging need all masters.
//!
//! Replication in Redis is asynchronous: a failover may undo writes that were acknowledged, and a
//! logout with them.
//!
//! # What a cache over it hears
//!
//! Its [feed](cloakroom_core::store::Feed) has each server remember what this node has read, and
//! tell it of every change that another one makes (`CLIENT TRACKING`, on the one connection that
//! reads and writes use). Nothing of this happens before somebody listens. A server forgets keys
//! beyond its `tracking-table-max-keys`, a million by default, and tells that they have changed:
//! set it above the number of sessions that all nodes together have in their caches, divided by the
//! number of masters.
//!
//! A store made here has neither cache nor circuit breaker. `cloakroom::connect` puts both in front;
//! by hand it is `near(Breaker::new(store, TokioTimer, options), options)`.

mod about;
mod cluster;
mod commit;
mod connect;
mod directory;
mod endings;
mod fault;
mod feed;
mod layout;
mod link;
mod login;
mod persistence;
mod place;
mod reply;
mod route;
mod script;
mod seats;
mod sentinel;
mod store;
mod sweep;
mod table;
mod tls;
mod topology;
mod tracking;
mod url;
mod watch;

pub use connect::{ConnectError, Options};
pub use store::RedisStore;
pub use tls::{ClientCertificate, Pem, Tls};
