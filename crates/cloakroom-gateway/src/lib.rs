//! What the `cloakroom` binary does: it reads a command line and runs what it names, a gateway that
//! brings sessions, logins and rules to the services behind it, or a demonstration of sessions that
//! two nodes share.

mod access;
mod app;
mod bell;
mod blocking;
mod cli;
mod config;
mod demo;
mod fault;
mod forward_auth;
mod gate;
mod gathered;
mod identity;
mod log;
mod login;
mod pages;
mod proxy;
mod serve;
mod signals;
mod stall;
mod terminal;
mod visitor;

use std::process::ExitCode;

/// Runs the command that this process was started with, to its end.
///
/// The exit code is 0 where it was done or was asked to stop, 1 where something on this machine
/// stood in the way, and 2 where the command line cannot be meant.
pub fn run() -> ExitCode {
    let command = cli::parse();
    log::start();
    match app::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fault.report(),
    }
}
