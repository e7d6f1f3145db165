//! Both nodes in one process: for a store that is this process's own memory.

use std::sync::Arc;

use super::node::serve;
use super::settings::{Name, Settings};
use super::{INVITATION, USERS, ports};
use crate::fault::Fault;
use crate::signals;
use crate::terminal::say;

/// Runs both nodes in this process until somebody asks for their end.
pub(crate) async fn run(settings: Settings) -> Result<(), Fault> {
    let mut stop = signals::Stop::new()?;
    let store = settings.place.connect().await?;
    let (told, stopped) = tokio::sync::watch::channel(());
    let node = async |name| {
        let listener = ports::listen(name, settings.addr(name)).await?;
        let mut stopped = stopped.clone();
        let asked = async move {
            // The sender never sends; it goes away.
            let _ = stopped.changed().await;
        };
        let (node, store) = (settings.node(name), Arc::clone(&store));
        Ok::<_, Fault>(async move { serve(node, store, listener, asked).await })
    };
    let (a, b) = (node(Name::A).await?, node(Name::B).await?);
    greet(&settings);
    let ending = async {
        stop.asked().await;
        drop(told);
        Ok(())
    };
    tokio::try_join!(a, b, ending)?;
    Ok(())
}

fn greet(settings: &Settings) {
    say("Cloakroom demo: two nodes in one process, one session.\n");
    for name in [Name::A, Name::B] {
        say(&format!("  Node {name}   http://{}", settings.addr(name)));
    }
    say("  Store    memory: both nodes share this process, and sessions end with it");
    say(USERS);
    say(&format!("\n{INVITATION}"));
    say("To kill a node and go on at the other, leave `--store memory:` out.");
    say("Ctrl-C ends the demo.");
}
