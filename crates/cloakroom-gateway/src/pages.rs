//! What the gateway answers by itself: pages and problems, in the reader's language.

mod problem;

pub(crate) use problem::{Problem, Reader};
