//! Measures Cloakroom over Redis at growing sizes: sessions, nodes, writers of one session.

use std::process::ExitCode;

// One thread: what is started here is killed by the kernel when the thread that started it ends.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    bench::scale().await
}
