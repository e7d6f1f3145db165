//! The command line: what it may say. What its words mean is each command's own affair.

mod check;
mod demo;
mod explain;
mod init;
mod run;
mod users;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, Error, FromArgMatches, Parser, Subcommand};

pub(crate) use check::{CheckArgs, load};
pub(crate) use demo::DemoArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use init::InitArgs;
pub(crate) use run::{DEFAULT_DIR, RunArgs};
pub(crate) use users::{UsersArgs, UsersCommand};

/// Sessions that several machines share.
#[derive(Debug, Parser)]
#[command(name = "cloakroom", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    Init(InitArgs),
    Check(CheckArgs),
    Explain(ExplainArgs),
    Demo(DemoArgs),
    Users(UsersArgs),
    /// One node of the demo. The demo starts it and writes its settings to its standard input.
    #[command(hide = true)]
    DemoNode {
        /// The node's letter, for those who look at a list of processes.
        name: String,
    },
}

/// Reads this process's command line. Where it cannot be meant, or asks for help, this ends the
/// process with the text that says so.
pub(crate) fn parse() -> Command {
    let mut command = Cli::command();
    let matches = command.get_matches_mut();
    read(&mut command, &matches).unwrap_or_else(|error| error.exit())
}

fn read(command: &mut clap::Command, matches: &ArgMatches) -> Result<Command, Error> {
    let contradiction = matches.subcommand_matches("demo").and_then(demo::contradiction);
    if let Some(contradiction) = contradiction {
        let error = Error::raw(ErrorKind::ArgumentConflict, contradiction);
        return Err(match command.find_subcommand_mut("demo") {
            Some(demo) => error.format(demo),
            None => error,
        });
    }
    Ok(Cli::from_arg_matches(matches)?.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }
}
