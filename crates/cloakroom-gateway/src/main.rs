//! The `cloakroom` binary; all it does is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloakroom_gateway::run()
}
