//! What tests need to hold a Cloakroom store to its promises: the laws, a model, stores that fail
//! on demand, a manual clock, real servers and a proxy that breaks connections.
//!
//! A store's whole test is one line:
//!
//! ```
//! use cloakroom_core::MemoryStore;
//! use cloakroom_testkit::{Fixture, store_laws};
//!
//! async fn memory() -> Fixture {
//!     Fixture::new(MemoryStore::new())
//! }
//!
//! store_laws!(memory);
//! # fn main() {}
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "everything here runs in tests, and speaks by failing them"
)]

pub mod clock;
pub mod dice;
pub mod faults;
pub mod fixture;
pub mod history;
pub mod laws;
pub mod model;
pub mod near;
pub mod promises;
pub mod proxy;
pub mod samples;
pub mod servers;
pub mod stores;

pub use clock::{ManualClock, TokioTimer};
pub use dice::Dice;
pub use fixture::Fixture;
pub use proxy::{Mode, Proxy};
