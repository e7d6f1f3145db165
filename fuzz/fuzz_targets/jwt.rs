//! Looks for bytes that break the properties in `properties/jwt.rs`.
#![no_main]

#[path = "../properties/jwt.rs"]
mod jwt;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| jwt::holds(bytes));
