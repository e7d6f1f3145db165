//! Looks for paths that break the properties in `properties/paths.rs`.
#![no_main]
#![allow(dead_code, reason = "the gateway uses more of a path than the property asks for")]

#[path = "../../crates/cloakroom-gateway/src/access/path.rs"]
mod path;
#[path = "../properties/paths.rs"]
mod paths;
#[path = "../../crates/cloakroom-gateway/src/access/pattern.rs"]
mod pattern;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| paths::holds(bytes));
