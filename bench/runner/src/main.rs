//! Runs the compared apps against each other: builds them, measures them in turn, reports.

use std::process::ExitCode;

// One thread: what is started here is killed by the kernel when the thread that started it ends.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    bench::compare().await
}
