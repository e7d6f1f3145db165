//! What is signed, what is admitted, and what is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod attacks;
mod foreign;
mod forge;
mod hostile;
mod key_files;
mod keys;
mod said;
mod times;
