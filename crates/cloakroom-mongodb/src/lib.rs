//! Keeps Cloakroom's sessions in MongoDB: one document a session, one `findAndModify` a commit.
//!
//! ```no_run
//! use cloakroom_mongodb::{MongoStore, Options};
//!
//! # async fn connect() -> Result<(), cloakroom_mongodb::ConnectError> {
//! let url = "mongodb://shop:secret@one,two,three/shop?replicaSet=rs0";
//! let store = MongoStore::connect(url, Options::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it needs
//!
//! MongoDB 4.4 or later, or a server that speaks like it, and a user with the role `readWrite` on
//! the database of the URL. Make it a replica set: one server by itself keeps sessions as well, but
//! tells nobody of changes, so no session can be cached ([`Store::feed`] is `None`), and what it has
//! written is as safe as its one disk.
//!
//! URLs that begin with `mongodb+srv://` need the feature `srv`, which brings a resolver for DNS.
//!
//! # What a call costs
//!
//! A load and a commit whose maker knows the record take one round trip, also where the commit came
//! too late: the update decides on the server, and the answer brings what is there. An ending takes
//! two, and so does a commit of somebody who does not know the record. Commits to one session that
//! meet on this node stand in line, and learn from each other what is there.
//!
//! # What is kept
//!
//! A write is acknowledged once a majority of the servers has it in its journal (`w: "majority", j:
//! true`): neither a crash nor a failover undoes it. What is read of a session is read from the
//! primary with the read concern `linearizable`. Anything less may answer with what was true before
//! a failover, and so show a session after its end; the price is that a read waits for a majority
//! of the servers as well, which a cache in front saves nearly always. Counts, pages and sweeps read
//! what a majority has.
//!
//! The driver sends no write twice. A call that has no answer within [`Options::call_timeout`] is
//! an error, and says whether it may have been carried out.
//!
//! The indexes are made when a store connects. One of them has the server forget documents (TTL) by
//! its own clock, a day after what is in them was over: that is for what no sweep has removed, and
//! no session ends by it.
//!
//! # What a cache over it hears
//!
//! The [feed](cloakroom_core::store::Feed) is one change stream on the collection for each node,
//! opened when somebody listens. A stream that is cut off is resumed by the driver where it left
//! off; where that cannot be, the source is down and another one begins. Heartbeats are writes to a
//! document of the node's own (`beat-…` in the same collection), which the server forgets a day
//! after the node is gone.
//!
//! On a sharded cluster a stream is as late as the shard that has had nothing to write for the
//! longest, by default up to ten seconds: set `periodicNoopIntervalSecs` to 1 there, or the cache
//! stays empty.
//!
//! A store made here has neither cache nor circuit breaker. By hand it is
//! `near(Breaker::new(store, TokioTimer, options), options)`.
//!
//! [`Store::feed`]: cloakroom_core::Store::feed

mod about;
mod connect;
mod fault;
mod feed;
mod layout;
mod line;
mod own;
mod register;
mod store;
mod stream;
mod table;
mod url;

pub use connect::{ConnectError, Options};
pub use register::MongoRegister;
pub use store::MongoStore;
