//! The `cloakroom` binary as people run it: real processes, real stores, a real browser.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do"
)]

mod api;
mod browser;
mod cli;
mod edges;
mod fresh;
mod gateway;
mod nodes;
mod redis;
mod stores;
mod support;
mod webdriver;
