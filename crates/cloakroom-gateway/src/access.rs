//! Which requests may pass: canonical paths, rules, and the verdict on a request. Pure.

mod host;
mod path;
mod pattern;
mod rule;
mod rules;

#[cfg(test)]
#[path = "../../../fuzz/properties/corpus.rs"]
mod corpus;
#[cfg(test)]
#[path = "../../../fuzz/properties/paths.rs"]
mod paths;

pub(crate) use host::HostPattern;
pub(crate) use path::{BadPath, Folding, Path};
pub(crate) use pattern::Pattern;
pub(crate) use rule::{Access, Asked, Mismatch, Permit, Rule, Verdict};
pub(crate) use rules::Rules;

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_of_paths_keep_what_is_promised() {
        assert!(super::corpus::feed("paths", super::paths::holds).unwrap() > 10);
    }
}
