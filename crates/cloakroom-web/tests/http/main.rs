//! The layer as its users have it: requests through whole services, over real stores.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod app;
mod breaker;
mod browser;
mod cached;
mod cost;
mod failure;
mod fence;
mod housekeeping;
mod laws;
mod limits;
mod login;
mod refusals;
mod require;
#[cfg(feature = "sealed")]
mod sealed;
mod stores;
mod tokens;
mod tower_only;
mod transports;
mod wire;
