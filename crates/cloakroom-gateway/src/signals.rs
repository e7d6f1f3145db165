//! The signals that commands answer to.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::fault::Fault;

/// The signals that end a process in order.
#[derive(Debug)]
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Hears them from now on.
    pub(crate) fn new() -> Result<Self, Fault> {
        Ok(Self { interrupt: hear(SignalKind::interrupt())?, terminate: terminate()? })
    }

    /// Completes when one of them has come.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Hears the request to end from now on.
pub(crate) fn terminate() -> Result<Signal, Fault> {
    hear(SignalKind::terminate())
}

/// Hears the request to bring a node back from now on.
pub(crate) fn bring_back() -> Result<Signal, Fault> {
    hear(SignalKind::user_defined1())
}

/// Lets Ctrl-C pass this process by, as long as the value lives: a terminal sends it to the demo
/// and to its nodes, and the demo ends them in order.
pub(crate) fn ignore_interrupt() -> Result<impl Sized, Fault> {
    hear(SignalKind::interrupt())
}

fn hear(kind: SignalKind) -> Result<Signal, Fault> {
    signal(kind).map_err(|error| Fault::new(format!("signals cannot be heard: {error}")))
}
