//! The `cloakroom` binary; all it does is in the library beside it.

use std::process::ExitCode;

/// A request is many small pieces of memory; this one hands them out faster than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cloakroom_gateway::run()
}
