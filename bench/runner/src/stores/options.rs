//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Measures every way to keep a session, without HTTP: latency and throughput of reads and writes,
/// bytes for a session, and what an outage of its server costs.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench/stores", bin_name = "bench/stores")]
pub(crate) struct Options {
    /// Takes less time: fewer samples. The figures are not to be relied on.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measures only these, with commas between. Without it, all but Hazelcast, which needs Java.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Leaves the servers alive.
    #[arg(long = "no-outages", action = clap::ArgAction::SetFalse)]
    pub(crate) outages: bool,
    /// Writes the figures into this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Puts the tables between the marks of this file: `<!-- stores:begin NAME -->` and
    /// `<!-- stores:end -->`.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
    /// Draws a chart into this file.
    #[arg(long)]
    pub(crate) svg: Option<PathBuf>,
}

impl Options {
    /// Whether a store is to be measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        match self.only.is_empty() {
            true => name != "Hazelcast",
            false => self.only.iter().any(|only| only.eq_ignore_ascii_case(name)),
        }
    }

    /// How much of one store is measured. What stands for MongoDB is written in Python, and answers
    /// no call in time under what the others are given.
    pub(crate) fn of(&self, name: &str) -> Self {
        Self { quick: self.quick || name == "MongoDB", ..self.clone() }
    }

    /// How many sessions there are.
    pub(crate) fn sessions(&self) -> usize {
        if self.quick { 500 } else { 5000 }
    }

    /// How many calls are timed one after the other.
    pub(crate) fn samples(&self) -> usize {
        if self.quick { 200 } else { 2000 }
    }

    /// How long each load lasts.
    pub(crate) fn time(&self) -> Duration {
        if self.quick { Duration::from_millis(400) } else { Duration::from_secs(3) }
    }
}
