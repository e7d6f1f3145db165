//! The Open Binary Client Protocol, version 2, as bytes: pure functions that know no connection.

pub(crate) mod answer;
pub(crate) mod data;
pub(crate) mod frame;
pub(crate) mod predicate;
pub(crate) mod reader;
pub(crate) mod request;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub(crate) use frame::{Decoder, Malformed, Message};
pub(crate) use value::{ALIVE, LAPSES, OVER, open, probe, seal};
pub(crate) use write::Request;

/// What a client says before its first message: the protocol's name and version.
pub(crate) const PREFACE: &[u8] = b"CP2";
/// The partition of what belongs to none.
pub(crate) const NO_PARTITION: i32 = -1;

/// Names a member, a client, or one owner's count of changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub(crate) struct Uuid(pub(crate) u128);
