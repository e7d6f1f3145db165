//! `cloakroom demo`: a small shop on two nodes that share nothing but the store of their sessions,
//! and the gateway in front of them.

mod child;
mod front;
mod housekeeping;
mod inside;
mod node;
mod place;
mod ports;
mod running;
pub(crate) mod settings;
mod site;
mod supervisor;
mod way;

pub(crate) use node::run as run_node;

use crate::fault::Fault;
use settings::Settings;

/// Runs both nodes and the gateway until somebody asks them to stop.
pub(crate) async fn run(settings: Settings) -> Result<(), Fault> {
    ports::check(&settings)?;
    if let Some(dir) = &settings.dir {
        place::make_directory(dir)?;
    }
    supervisor::run(settings).await
}
