//! Nodes as clients see them: they answer, until they are restarted.

use std::future::Future;

use cloakroom_core::Sessions;
use tokio::sync::watch;

/// A node, through all its restarts.
#[derive(Debug)]
pub struct Node(watch::Sender<Sessions>);

impl Node {
    /// A node that keeps `sessions`.
    pub fn new(sessions: Sessions) -> Self {
        Self(watch::Sender::new(sessions))
    }

    /// Its sessions, as it is now.
    pub fn sessions(&self) -> Sessions {
        self.0.borrow().clone()
    }

    /// Puts another one in its place: whatever the one before had under way is gone with it.
    pub fn restart(&self, sessions: Sessions) {
        self.0.send_replace(sessions);
    }

    /// Lets it answer a request; `None` where it is restarted meanwhile.
    pub async fn ask<F: Future>(&self, request: impl FnOnce(Sessions) -> F) -> Option<F::Output> {
        let mut current = self.0.subscribe();
        let sessions = current.borrow_and_update().clone();
        tokio::select! {
            biased;
            _ = current.changed() => None,
            answer = request(sessions) => Some(answer),
        }
    }
}
