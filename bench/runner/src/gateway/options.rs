//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// Measures the gateway with a signed-in user's session and four rules beside nginx as a plain
/// proxy, and beside Traefik, Caddy and nginx that ask a session service about every request.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench/gateway", bin_name = "bench/gateway")]
pub(crate) struct Options {
    /// How often everything is measured; one more round before them warms up and is thrown away.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: u64,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: u64,
    /// Only ways whose names begin like one of these, with commas between them.
    #[arg(long, value_delimiter = ',')]
    pub(crate) ways: Vec<String>,
    /// A gateway that was built already; without it, it is built.
    #[arg(long)]
    pub(crate) binary: Option<PathBuf>,
    /// Writes the figures into this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Puts the tables between the marks of this file: `<!-- gateway:begin NAME -->` and
    /// `<!-- gateway:end -->`.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
    /// Draws a chart into this file.
    #[arg(long)]
    pub(crate) svg: Option<PathBuf>,
}

impl Options {
    /// Whether a way is to be measured.
    pub(crate) fn wants(&self, way: &str) -> bool {
        self.ways.is_empty() || self.ways.iter().any(|name| way.starts_with(name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_chosen_by_how_they_begin() {
        assert!(Options::parse_from(["gateway"]).wants("nginx"));
        let options = Options::parse_from(["gateway", "--ways", "cloakroom,nginx + e"]);
        assert!(options.wants("cloakroom") && options.wants("nginx + express-session"));
        assert!(!options.wants("nginx") && !options.wants("caddy + cloakroom"));
    }
}
