//! The process's log: to the standard error, quiet unless `RUST_LOG` asks for more.

use std::env;
use std::io::{self, IsTerminal};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const QUIET: Level = Level::WARN;

/// Starts the log. `RUST_LOG` is read as levels and targets, such as `info,sqlx=warn`; one that
/// cannot be read counts as none.
pub(crate) fn start() {
    let wanted = env::var("RUST_LOG").ok().filter(|wanted| !wanted.trim().is_empty());
    let targets = wanted.and_then(|wanted| wanted.parse::<Targets>().ok());
    let targets = targets.unwrap_or_else(|| Targets::new().with_default(QUIET));
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    // A log that is there already is as good.
    let _ = tracing_subscriber::registry().with(lines).with(targets).try_init();
}
