//! Sessions for services that run on more than one machine: no update is lost, a session that has
//! ended stays ended, and a store that does not answer logs nobody out.
//!
//! # Visits
//!
//! A [`Slot`] fixes an attribute's name and type. A handler takes a [`Session`]; the
//! [`SessionLayer`] opens it when it is asked for, and commits it before the response is sent.
//!
//! ```
//! use axum::{Router, routing::get};
//! use cloakroom::{MemoryStore, Refusal, Session, SessionLayer, Slot};
//!
//! const VISITS: Slot<u64> = Slot::new("visits");
//!
//! async fn visits(session: Session) -> Result<String, Refusal> {
//!     session.update(VISITS, |visits| *visits += 1)?;
//!     Ok(format!("You were here {} times.", session.get(VISITS)?.unwrap_or(0)))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = cloakroom::sessions(MemoryStore::new()).build()?;
//! let app: Router = Router::new()
//!     .route("/", get(visits))
//!     .layer(SessionLayer::new(sessions));
//! # Ok(())
//! # }
//! ```
//!
//! Over plain HTTP, browsers take the cookie from `localhost` only, for it is `Secure`. For
//! development on another host there is
//! [`CookieConfig::insecure_plain_http`](CookieConfig::insecure_plain_http).
//!
//! `update` is replayed where another request came first, on any node: 64 requests at once count
//! 64. `set` writes whatever was there; two requests that set different attributes both win.
//!
//! # A typed cart
//!
//! ```
//! use cloakroom::{Refusal, Session, Slot};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Cart {
//!     items: Vec<String>,
//! }
//!
//! const CART: Slot<Cart> = Slot::new("cart");
//!
//! /// Adds an item. `transact` commits at once and returns what the run that was applied has
//! /// returned: to go on only once it is certain.
//! async fn add(session: Session, item: String) -> Result<String, Refusal> {
//!     let items = session
//!         .transact(CART, move |cart| {
//!             cart.items.push(item.clone());
//!             cart.items.len()
//!         })
//!         .await?;
//!     Ok(format!("{items} items"))
//! }
//! ```
//!
//! # Logging in and out
//!
//! ```
//! use axum::{Router, response::Redirect, routing::{get, post}};
//! use cloakroom::{
//!     Login, MemoryStore, Refusal, RequireLogin, Session, SessionLayer, SignedIn,
//! };
//!
//! async fn log_in(session: Session) -> Result<Redirect, Refusal> {
//!     // After the password was checked. The token is replaced.
//!     session.log_in(Login::new("ada").role("editor"))?;
//!     Ok(Redirect::to("/account"))
//! }
//!
//! async fn log_out(session: Session) -> Result<Redirect, Refusal> {
//!     session.log_out()?;
//!     Ok(Redirect::to("/"))
//! }
//!
//! async fn account(SignedIn(principal): SignedIn) -> String {
//!     format!("Hello, {principal}.")
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = cloakroom::sessions(MemoryStore::new()).build()?;
//! let app: Router = Router::new()
//!     .route("/account", get(account))
//!     .layer(RequireLogin::new().login_page("/login")) // for the routes above it
//!     .route("/login", post(log_in))
//!     .route("/logout", post(log_out))
//!     .layer(SessionLayer::new(sessions)); // around all of them
//! # Ok(())
//! # }
//! ```
//!
//! `sessions.of_principal("ada")` lists her sessions, `sessions.end_all("ada", None)` ends them, on
//! all nodes at once.
//!
//! # Choosing a store
//!
//! | store | for | feature |
//! |---|---|---|
//! | [`MemoryStore`] | one process; tests | |
//! | `SqlStore` | the processes of one machine, in an SQLite file | `sqlite` |
//! | `SqlStore` | any number of machines, in PostgreSQL, MySQL or MariaDB | `postgres`, `mysql` |
//! | `RedisStore` | any number of machines: one server, by Sentinel, or a Cluster, with TLS or without | `redis` |
//! | `MongoStore` | any number of machines, in MongoDB | `mongodb` |
//! | `NatsStore` | any number of machines, each of which holds all sessions, replicated by NATS | `nats` |
//! | `HazelcastStore` | any number of machines, in a map of Hazelcast | `hazelcast` |
//! | `sealed(keys)` | any number of machines and no server: the client holds its session | `sealed` |
//!
//! [`connect`] opens one by its URL. In front of one on a server it puts a cache, where the store can
//! tell of changes, and a circuit breaker; [`connect_with`] sets them or leaves them out:
//!
//! - The cache ([`store::Near`], [`near`]) answers reads of sessions that this node has seen from
//!   memory. The store tells it what other nodes change, and where it does not for a second, every
//!   read goes to the store. A client never sees an older version than it has seen, because it
//!   returns that for some seconds: in a cookie beside the token's, with `-v` after its name, or in
//!   the header `Cloakroom-Version`, which a client of your own has to send back as it came.
//! - The breaker ([`store::Breaker`]) refuses at once while the store does not answer: 503, and
//!   nobody is signed out.
//!
//! Every node has to sweep up after sessions that nobody comes
//! back to: [`Housekeeping::start`] does.
//!
//! ```
//! use std::time::Duration;
//! use cloakroom::{Housekeeping, Policy};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy { idle: Some(Duration::from_secs(15 * 60)), ..Policy::default() };
//! let store = cloakroom::connect("memory:").await?;
//! let sessions = cloakroom::sessions(store).policy(policy).build()?;
//! let housekeeping = Housekeeping::start(&sessions, Duration::from_secs(60));
//! # Ok(())
//! # }
//! ```
//!
//! # Sessions without a store
//!
//! With the feature `sealed`, a session that is small can be kept by its client: the whole of it in
//! the cookie, sealed with a key that all nodes have. Handlers stay as they are.
//!
//! ```
//! # #[cfg(feature = "sealed")]
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use cloakroom::{KeyRing, SessionLayer};
//!
//! let keys = KeyRing::read("/etc/shop/session.keys")?;
//! let sessions = cloakroom::sealed(keys.clone()).build()?;
//! let layer = SessionLayer::new(sessions);
//! // Later, with a new key in the file, and without a restart:
//! keys.replace(&KeyRing::read("/etc/shop/session.keys")?);
//! # Ok(())
//! # }
//! ```
//!
//! It costs no call to a store, and it is not for everything: of two requests at once the later
//! response's writes stay, a copy of a session that was logged out still opens until it expires, and
//! a session has room for about 3 kB. `Sealed` says what else a client cannot be made to promise, and
//! how all of a user's sessions are ended all the same.
//!
//! # When a session ends
//!
//! A [`Listener`] hears that a session has ended, however it did, on one node of all. It is written
//! with [`async_trait`](macro@async_trait).
//!
//! ```
//! use cloakroom::{Ending, Listener, MemoryStore, async_trait};
//!
//! #[derive(Debug)]
//! struct Carts;
//!
//! #[async_trait]
//! impl Listener for Carts {
//!     async fn on_ended(
//!         &self,
//!         ending: &Ending,
//!     ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!         println!("what {} held is free again: {:?}", ending.key, ending.reason);
//!         Ok(())
//!     }
//! }
//!
//! let sessions = cloakroom::sessions(MemoryStore::new()).listener(Carts).build()?;
//! # Ok::<_, cloakroom::policy::BadPolicy>(())
//! ```
//!
//! # Without axum, and without HTTP
//!
//! Any tower service asks [`session`](fn@session) for its request's session. What is not HTTP opens
//! sessions itself, by [`Sessions::open`] and [`Sessions::finish`]; the example `no_http` does. What
//! [`Sessions::open`] gives becomes a [`Session`] by `into()`.

mod connect;

pub use async_trait::async_trait;
#[cfg(feature = "sealed")]
pub use cloakroom_core::keeping::{BadKeys, KeyRing, Sealed};
pub use cloakroom_core::keeping::{Carrier, SealedText};
pub use cloakroom_core::sessions::Builder;
pub use cloakroom_core::{
    Client, Clock, Commit, Ended, Ending, Entry, Error, Event, Guard, Info, Key, Kind, Limit,
    Listener, Live, Login, MemoryStore, OpenEntry, Outcome, Policy, Record, Reply, Sessions, Slot,
    Store, Swept, SystemClock, Timer, Timestamp, Token, commit, event, policy, record, store, time,
    token,
};
#[cfg(feature = "hazelcast")]
pub use cloakroom_hazelcast::HazelcastStore;
#[cfg(feature = "mongodb")]
pub use cloakroom_mongodb::MongoStore;
#[cfg(feature = "nats")]
pub use cloakroom_nats::NatsStore;
#[cfg(feature = "redis")]
pub use cloakroom_redis::RedisStore;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub use cloakroom_sql::SqlStore;
pub use cloakroom_web::{
    BadCookie, BadNetwork, CookieConfig, Head, Housekeeping, Network, PeerAddr, Refusal, Require,
    RequireLogin, RequireRole, ResponseBody, ResponseFuture, SameSite, Secure, Session,
    SessionLayer, SessionService, SignedIn, TokioTimer, Transport, TrustedProxies, cookies, near,
    safe_return_path, session,
};
pub use connect::{ConnectError, StoreOptions, StoreUrl, connect, connect_with};

/// Sessions in a map of Hazelcast, with everything that can be set about them.
#[cfg(feature = "hazelcast")]
pub mod hazelcast {
    pub use cloakroom_hazelcast::{ConnectError, HazelcastStore, Options};
}

/// Who asks, in services behind the gateway: verified, and passed on from service to service.
#[cfg(feature = "identity")]
pub mod identity {
    pub use cloakroom_identity::*;
}

/// Who somebody is, in a signed token that is verified without a store.
#[cfg(feature = "jwt")]
pub mod jwt {
    pub use cloakroom_jwt::*;
}

/// Sessions in MongoDB, with everything that can be set about them.
#[cfg(feature = "mongodb")]
pub mod mongodb {
    pub use cloakroom_mongodb::{ConnectError, MongoStore, Options};
}

/// Sessions in every node's memory, replicated by NATS, with everything that can be set about them.
#[cfg(feature = "nats")]
pub mod nats {
    pub use cloakroom_nats::{ConnectError, NatsStore, Options};
}

/// Sessions in Redis, with everything that can be set about them.
///
/// ```no_run
/// use cloakroom::redis::{Options, RedisStore};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let options = Options { prefix: "shop:".to_owned(), ..Options::default() };
/// let store = RedisStore::connect("redis://127.0.0.1", options).await?;
/// let sessions = cloakroom::sessions(store).build()?;
/// # Ok(())
/// # }
/// ```
#[cfg(feature = "redis")]
pub mod redis {
    pub use cloakroom_redis::{ClientCertificate, ConnectError, Options, Pem, RedisStore, Tls};
}

/// Sessions in an SQL database, with everything that can be set about them.
///
/// ```no_run
/// use cloakroom::sql::{Options, SqlStore};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqlStore::with_options("sqlite://sessions.db", Options::default()).await?;
/// let sessions = cloakroom::sessions(store).build()?;
/// # Ok(())
/// # }
/// ```
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub mod sql {
    pub use cloakroom_sql::{ConnectError, Database, Options, SqlStore, Synchronous};
}

/// Begins to set up the sessions kept in `store`, on tokio's clock.
///
/// ```
/// use cloakroom::MemoryStore;
///
/// let sessions = cloakroom::sessions(MemoryStore::new()).build()?;
/// # Ok::<_, cloakroom::policy::BadPolicy>(())
/// ```
pub fn sessions(store: impl Store) -> Builder {
    Sessions::builder(store, TokioTimer)
}

/// Begins to set up sessions that are sealed and kept by their clients, on tokio's clock.
///
/// ```
/// use cloakroom::{KeyRing, MemoryStore, Sealed};
///
/// let sessions = cloakroom::sealed(KeyRing::generate()).build()?;
/// // With a store, so that all of a user's sessions can be ended. One that all nodes share, and that
/// // outlives them: what it forgets is not ended any more.
/// let sealed = Sealed::new(KeyRing::generate()).purpose("shop").epochs(MemoryStore::new());
/// let sessions = cloakroom::sealed(sealed).build()?;
/// # Ok::<_, cloakroom::policy::BadPolicy>(())
/// ```
#[cfg(feature = "sealed")]
pub fn sealed(sealed: impl Into<Sealed>) -> Builder {
    Sessions::sealed(sealed, TokioTimer)
}
