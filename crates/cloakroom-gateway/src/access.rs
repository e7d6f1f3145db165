//! Which requests may pass: canonical paths, rules, and the verdict on a request. Pure.

mod path;
mod rule;

pub(crate) use path::{BadPath, Folding, Path};
pub(crate) use rule::{Access, Asked, Permit, Rule, Rules, Verdict};
