//! Runs the compared apps against each other: builds them, measures them in turn, reports.

mod app;
mod http;
mod info;
mod load;
mod machine;
mod measure;
mod options;
mod prepare;
mod proc;
mod process;
mod redis;
mod report;
mod rounds;
mod stats;
mod svg;
mod table;
mod wrk;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use options::Options;

/// What a shell says of a program that was interrupted.
const INTERRUPTED: u8 = 130;

// One thread: what is started here is killed by the kernel when the thread that started it ends.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(missing) = prepare::needed() {
        eprintln!("{missing}");
        return ExitCode::FAILURE;
    }
    // What is dropped here ends every process that it has started.
    let done = tokio::select! {
        done = rounds::run(&options) => done,
        () = interrupted() => return ExitCode::from(INTERRUPTED),
    };
    match done {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            failures.iter().for_each(|failure| eprintln!("FAILED: {failure}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn interrupted() {
    let Ok(mut ended) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = ended.recv() => {}
    }
}
