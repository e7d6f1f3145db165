//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// How many sessions one bucket of a large deployment has: a hundred million in 256.
const FULL: usize = 100_000_000 / 256;

/// Measures Cloakroom over a Redis of its own at growing sizes, without HTTP: memory, latency and
/// expiry from a thousand to a million sessions, what several nodes tell each other, and many
/// writers of one attribute. Ends with the arithmetic of a hundred million sessions.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench/scale", bin_name = "bench/scale")]
pub(crate) struct Options {
    /// Takes less than a minute: smaller sizes, fewer samples. The figures are not to be relied on.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Writes the figures into this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Puts the tables between the marks of this file: `<!-- scale:begin NAME -->` and
    /// `<!-- scale:end -->`. Makes the file where there is none.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
    /// Draws a chart into this file.
    #[arg(long)]
    pub(crate) svg: Option<PathBuf>,
}

impl Options {
    /// How many sessions there are.
    pub(crate) fn sizes(&self) -> &'static [usize] {
        if self.quick { &[1000, 10_000, 20_000] } else { &[1000, 10_000, 100_000, 1_000_000] }
    }

    /// How many sessions are in the one bucket that is as full as a large deployment's.
    pub(crate) fn full_bucket(&self) -> usize {
        if self.quick { FULL / 10 } else { FULL }
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> &'static [usize] {
        &[1, 2, 4, 8]
    }

    /// How often it is looked how long another node takes.
    pub(crate) fn samples(&self) -> usize {
        if self.quick { 200 } else { 2000 }
    }

    /// How many writers there are, and on how many nodes.
    pub(crate) fn writers(&self) -> (&'static [usize], &'static [usize]) {
        (if self.quick { &[1, 8, 64] } else { &[1, 2, 4, 8, 16, 32, 64] }, &[1, 4])
    }

    /// How long each number of writers writes.
    pub(crate) fn time(&self) -> Duration {
        if self.quick { Duration::from_millis(500) } else { Duration::from_secs(3) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_run_is_smaller() {
        let (all, quick) =
            (Options::parse_from(["scale"]), Options::parse_from(["scale", "--quick"]));
        assert_eq!(all.sizes().last(), Some(&1_000_000));
        assert!(quick.sizes().last() < all.sizes().last());
        assert!(quick.full_bucket() < all.full_bucket() && quick.time() < all.time());
    }
}
