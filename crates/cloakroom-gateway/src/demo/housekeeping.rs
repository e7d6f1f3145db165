//! A node's sessions: the rules they live under, the sweeping, and a word in the log when one ends.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::{Housekeeping, Sessions, Store};

use crate::app::EndingsLog;
use crate::fault::Fault;

/// How often a node sweeps.
const EVERY: Duration = Duration::from_secs(30);

/// Sessions kept in `store`, under the library's default policy.
pub(crate) fn sessions(store: Arc<dyn Store>) -> Result<Sessions, Fault> {
    let sessions = cloakroom::sessions(store).listener(EndingsLog).build();
    sessions.map_err(|error| Fault::new(error.to_string()))
}

/// Sweeps until the value is dropped.
pub(crate) fn start(sessions: &Sessions) -> Housekeeping {
    Housekeeping::start(sessions, EVERY)
}
