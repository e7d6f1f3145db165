//! Looks for bytes that break the properties in `properties/seal.rs`.
#![no_main]

#[path = "../properties/seal.rs"]
mod seal;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| seal::holds(bytes));
