//! Looks for bytes that break the properties in `properties/cookies.rs`.
#![no_main]

#[path = "../properties/cookies.rs"]
mod cookies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cookies::holds(bytes));
