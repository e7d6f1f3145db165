//! Looks for bytes that break the properties in `properties/record.rs`.
#![no_main]

#[path = "../properties/record.rs"]
mod record;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| record::holds(bytes));
