//! A word in the log when a session ends.

use std::error::Error;

use async_trait::async_trait;
use cloakroom::{Ending, Listener};

/// Writes every ending to the log.
#[derive(Debug)]
pub(crate) struct EndingsLog;

#[async_trait]
impl Listener for EndingsLog {
    async fn on_ended(&self, ending: &Ending) -> Result<(), Box<dyn Error + Send + Sync>> {
        tracing::info!(reason = ending.reason.as_str(), key = %ending.key, "a session has ended");
        Ok(())
    }
}
