//! The only wiring: which command runs what, on which runtime.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::cli::Command;
use crate::demo;
use crate::demo::settings::{NodeSettings, Settings};
use crate::fault::Fault;
use crate::login::manage;

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Result<(), Fault> {
    match command {
        Command::Demo(args) => {
            let settings = Settings::of(args)?;
            runtime()?.block_on(demo::run(settings))
        }
        Command::Users(args) => runtime()?.block_on(manage::run(args)),
        Command::DemoNode { .. } => {
            let settings = NodeSettings::read(io::stdin().lock())?;
            runtime()?.block_on(demo::run_node(settings))
        }
    }
}

fn runtime() -> Result<Runtime, Fault> {
    let runtime = Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| Fault::new(format!("no threads to run on: {error}")))
}
