//! Replicates Cloakroom's sessions into every node's memory, over a NATS JetStream bucket.
//!
//! ```no_run
//! use cloakroom_nats::{NatsStore, Options};
//!
//! # async fn connect() -> Result<(), cloakroom_nats::ConnectError> {
//! let url = "nats://shop:secret@one:4222,two,three/sessions?replicas=3";
//! let store = NatsStore::connect(url, Options::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The bucket is the authority: a write is one compare-and-swap there, acknowledged when it is in
//! the files of the server (one replica) or of most of them (three or five). Every node watches the
//! bucket. A near cache over this store ([`Near`](cloakroom_core::store::Near)) is told by the watch
//! of every change together with what the session has come to, and so has every session in memory
//! before anybody asks for it: a read is local on every node. Where the cache is full, it keeps what
//! it has and reads the rest from the bucket; this store then knows of each session its key, its
//! revision and its deadlines, about 150 bytes.
//!
//! # What replication usually breaks
//!
//! A replica is late. Here a client that returns its [fence](cloakroom_core::Session::fence) is never
//! shown less than it has seen, on any node: a node that is behind reads through. So does a node that
//! has just started, until it has been told everything; it serves correctly from its first request.
//!
//! # What it needs
//!
//! NATS 2.11 or later with JetStream. The bucket is made where it is missing: in files, with a
//! history of one, and entries that expire one by one as a backstop. One that there is already is
//! refused where it would lose sessions. Do not purge it by hand: nobody is told of that, and nodes go
//! on with what they have until they watch anew.
//!
//! # When servers fail
//!
//! - **A server is killed** and started again: what it acknowledged is there, because it was written to
//!   its files. They are synced every two minutes by default, so that one replica loses up to
//!   as much when the power fails: set `sync_interval: always` there. Three replicas lose it only
//!   where most of them lose power at once.
//! - **The leader of three dies**: calls fail until another one is chosen, after a few seconds, and each
//!   within `call_timeout`. No acknowledged write is lost.
//! - **A leader is cut off** from the others: it acknowledges nothing, and gives up leading after some
//!   seconds. Until then it may answer reads with what it has. What a near cache serves is under a
//!   lease that only a leader with a majority renews.
//! - **A connection breaks**: calls under way are unanswered, later ones fail at once until there is
//!   another. Nothing is sent twice.
//!
//! A store made here has neither cache nor circuit breaker.

mod bucket;
mod connect;
mod fault;
mod index;
mod link;
mod node;
mod register;
mod store;
mod url;
mod watch;

pub use connect::{ConnectError, Options};
pub use register::NatsRegister;
pub use store::NatsStore;
