//! Measures the gateway beside plain nginx, and beside proxies that ask somebody else who asks.

use std::process::ExitCode;

// One thread: what is started here is killed by the kernel when the thread that started it ends.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    bench::gateway().await
}
