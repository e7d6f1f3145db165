//! The only wiring: which command runs what, on which runtime.

mod endings;
mod gateway;
mod greeting;
mod ring;

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::cli::Command;
use crate::demo;
use crate::demo::settings::{NodeSettings, Settings};
use crate::fault::Fault;
use crate::login::manage;

pub(crate) use endings::EndingsLog;

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Result<(), Fault> {
    match command {
        Command::Run(args) => {
            let source = gateway::Source::of(args)?;
            let has_file = source.has_file();
            let run = runtime(source.config.workers)?.block_on(gateway::run(source));
            run.map_err(|fault| if has_file { fault } else { fault.without_file() })
        }
        Command::Init(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::Explain(args) => args.run(),
        Command::Demo(args) => {
            let settings = Settings::of(args)?;
            runtime(None)?.block_on(demo::run(settings))
        }
        Command::Users(args) => runtime(None)?.block_on(manage::run(args)),
        Command::DemoNode { .. } => {
            let settings = NodeSettings::read(io::stdin().lock())?;
            runtime(None)?.block_on(demo::run_node(settings))
        }
    }
}

/// A runtime with so many threads that serve; without a number, one for each core.
fn runtime(workers: Option<usize>) -> Result<Runtime, Fault> {
    let mut builder = match workers {
        Some(1) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if let Some(workers) = workers.filter(|workers| *workers > 1) {
        builder.worker_threads(workers);
    }
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| Fault::new(format!("no threads to run on: {error}")))
}
