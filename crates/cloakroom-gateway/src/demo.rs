//! `cloakroom demo`: a small shop on two nodes that share nothing but the store of their sessions.

mod child;
mod housekeeping;
mod node;
mod place;
mod ports;
pub(crate) mod settings;
mod site;
mod supervisor;
mod together;

pub(crate) use node::run as run_node;

use crate::fault::Fault;
use settings::Settings;

/// Runs both nodes until somebody asks them to stop.
pub(crate) async fn run(settings: Settings) -> Result<(), Fault> {
    ports::check(&settings)?;
    if let Some(dir) = &settings.dir {
        place::make_directory(dir)?;
    }
    if settings.place.is_memory() {
        together::run(settings).await
    } else {
        supervisor::run(settings).await
    }
}

/// The line that says who can sign in.
const USERS: &str = "  Users    alice / wonderland, bob / builder";
/// The lines that say what there is to do.
const INVITATION: &str = "Sign in at one node and open the other: you are signed in there too.";
