//! A store of any backend that can compare and swap.

mod envelope;
mod register;

pub use envelope::Label;
pub use register::{Due, Held, NotAPlace, Place, Put, Register, Swapped};

/// Stub.
#[derive(Debug)]
pub struct Cas<R>(R);
