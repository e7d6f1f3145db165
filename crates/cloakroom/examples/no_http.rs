//! Keeps sessions of something that is not HTTP: a chat that takes lines.
//!
//! `cargo run -p cloakroom --example no_http`

use std::error::Error;

use cloakroom::{MemoryStore, Reply, Sessions, Slot, Token};

const LINES: Slot<Vec<String>> = Slot::new("lines");

/// A client's end of the connection: it keeps the token that it was given last.
#[derive(Default)]
pub(crate) struct Peer {
    token: Option<Token>,
}

impl Peer {
    /// Says a line; how many were said in this session.
    pub(crate) async fn say(
        &mut self,
        sessions: &Sessions,
        line: &str,
    ) -> Result<usize, cloakroom::Error> {
        let session = sessions.open(self.token.as_slice(), cloakroom::Client::default()).await?;
        let line = line.to_owned();
        session.update(LINES, move |lines| lines.push(line.clone()))?;
        let said = session.get(LINES)?.unwrap_or_default().len();
        match sessions.finish(&session).await? {
            Some(Reply::Send { token, .. }) => self.token = Some(token),
            Some(Reply::Clear) => self.token = None,
            // Only sessions without a store are sealed.
            Some(Reply::Seal { .. }) | None => {}
        }
        Ok(said)
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let sessions = cloakroom::sessions(MemoryStore::new()).build()?;
    let mut peer = Peer::default();
    for line in ["Hello.", "Is anybody there?", "Goodbye."] {
        let said = peer.say(&sessions, line).await?;
        assert!(said > 0, "what was said is kept");
    }
    Ok(())
}
