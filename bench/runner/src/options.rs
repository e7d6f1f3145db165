//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::app::{APPS, App, Case};

/// Compares Cloakroom with its peers: starts each app with a Redis of its own, puts it under load
/// in every case, round after round, and prints the medians.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench/run", bin_name = "bench/run")]
pub(crate) struct Options {
    /// How often everything is measured; one more round before them warms up and is thrown away.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: u64,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Only these apps, by name, with commas between them.
    #[arg(long, value_delimiter = ',', value_parser = app)]
    pub(crate) apps: Vec<App>,
    /// Only these cases, with commas between them.
    #[arg(long, value_delimiter = ',')]
    pub(crate) cases: Vec<Case>,
    /// How many sessions are stored to measure what one takes; 0 measures nothing of it.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) bytes: usize,
    /// Writes the figures into this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Draws a chart into this file.
    #[arg(long)]
    pub(crate) svg: Option<PathBuf>,
    /// Writes the tables into this file.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
}

impl Options {
    /// The apps that were asked for, or all.
    pub(crate) fn apps(&self) -> Vec<App> {
        if self.apps.is_empty() { APPS.to_vec() } else { self.apps.clone() }
    }

    /// The cases that were asked for, or all.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let wanted = |case: &Case| self.cases.is_empty() || self.cases.contains(case);
        Case::ALL.into_iter().filter(wanted).collect()
    }
}

fn app(name: &str) -> Result<App, String> {
    App::named(name).ok_or_else(|| {
        let names: Vec<&str> = APPS.iter().map(|app| app.name).collect();
        format!("there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_options_everything_is_measured() {
        let options = Options::parse_from(["run"]);
        assert_eq!(options.apps().len(), APPS.len());
        assert_eq!(options.cases(), Case::ALL);
        assert_eq!((options.rounds, options.seconds, options.bytes), (5, 4, 100_000));
    }

    #[test]
    fn apps_and_cases_are_chosen_by_name() {
        let options =
            Options::parse_from(["run", "--apps", "axum,cloakroom", "--cases", "write,none"]);
        assert_eq!(
            options.apps().iter().map(|app| app.name).collect::<Vec<_>>(),
            ["axum", "cloakroom"]
        );
        assert_eq!(options.cases(), [Case::None, Case::Write]);
        assert!(Options::try_parse_from(["run", "--apps", "unheard-of"]).is_err());
        assert!(Options::try_parse_from(["run", "--rounds", "0"]).is_err());
    }
}
