//! What `bench/run`, `bench/gateway`, `bench/scale` and `bench/stores` do: one compares the apps, one
//! the gateway with other proxies, one measures Cloakroom itself at growing sizes, one every way to
//! keep a session.

mod app;
mod gateway;
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
mod scale;
mod stats;
mod stores;
mod svg;
mod table;
mod wrk;

use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use options::Options;

/// What a shell says of a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// Runs the compared apps against each other: builds them, measures them in turn, reports.
///
/// Has to run on one thread: what is started here is killed by the kernel when the thread that
/// started it ends.
pub async fn compare() -> ExitCode {
    let options = Options::parse();
    if let Err(missing) = prepare::needed(&prepare::TO_COMPARE) {
        return failed(&[missing]);
    }
    finish(rounds::run(&options)).await
}

/// Measures the gateway beside other proxies.
///
/// Has to run on one thread, as [`compare`].
pub async fn gateway() -> ExitCode {
    let options = gateway::Options::parse();
    if let Err(missing) = prepare::needed(&prepare::TO_PROXY) {
        return failed(&[missing]);
    }
    finish(gateway::run(&options)).await
}

/// Measures Cloakroom over Redis at growing sizes, without HTTP.
///
/// Has to run on one thread, as [`compare`].
pub async fn scale() -> ExitCode {
    let options = scale::Options::parse();
    if let Err(missing) = prepare::needed(&prepare::TO_SCALE) {
        return failed(&[missing]);
    }
    finish(scale::run(&options)).await
}

/// Measures every way to keep a session, without HTTP.
///
/// Has to run on one thread, as [`compare`].
pub async fn stores() -> ExitCode {
    let options = stores::Options::parse();
    finish(stores::run(&options)).await
}

/// Waits for a run, or for its interruption: what is dropped then ends every process that it has
/// started.
async fn finish(run: impl Future<Output = Result<Vec<String>, Box<dyn Error>>>) -> ExitCode {
    let done = tokio::select! {
        done = run => done,
        () = interrupted() => return ExitCode::from(INTERRUPTED),
    };
    match done {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => failed(&failures),
        Err(error) => failed(&[error]),
    }
}

fn failed(failures: &[impl Display]) -> ExitCode {
    failures.iter().for_each(|failure| eprintln!("FAILED: {failure}"));
    ExitCode::FAILURE
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
