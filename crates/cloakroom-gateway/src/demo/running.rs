//! A node that runs, as a process of its own or inside of this one.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use cloakroom::Store;

use super::settings::NodeSettings;
use super::{child, inside};
use crate::fault::Fault;

/// A node that runs. Dropping it kills it.
#[derive(Debug)]
pub(crate) enum Running {
    Process(Box<child::Node>),
    Inside(inside::Node),
}

impl Running {
    /// Starts a node, and returns once it answers. `memory`: the store, where it is this process's
    /// own memory, which no other process sees.
    pub(crate) async fn start(
        settings: &NodeSettings,
        memory: Option<&Arc<dyn Store>>,
    ) -> Result<Self, Fault> {
        match memory {
            Some(store) => inside::Node::start(settings, Arc::clone(store)).await.map(Self::Inside),
            None => child::Node::start(settings).await.map(|node| Self::Process(Box::new(node))),
        }
    }

    /// The id of its own process.
    pub(crate) fn process(&self) -> Option<u32> {
        match self {
            Self::Process(node) => Some(node.id()),
            Self::Inside(_) => None,
        }
    }

    /// Completes when it has ended: how, in words that follow its name.
    pub(crate) async fn ended(&mut self) -> String {
        match self {
            Self::Process(node) => how(node.ended().await),
            Self::Inside(node) => match node.ended().await {
                Some(fault) => format!("has ended: {fault}"),
                None => "has ended".to_owned(),
            },
        }
    }

    /// Kills it and waits for its end: how, in words that follow its name.
    pub(crate) async fn kill(self) -> String {
        match self {
            Self::Process(mut node) => {
                node.kill();
                how(node.ended().await)
            }
            Self::Inside(node) => {
                node.kill().await;
                "was killed, with its listener and its connections".to_owned()
            }
        }
    }

    /// Asks it to end, and waits for it.
    pub(crate) async fn stop(self) {
        match self {
            Self::Process(node) => node.stop().await,
            Self::Inside(node) => node.stop().await,
        }
    }
}

fn how(status: Option<ExitStatus>) -> String {
    match status.map(|status| (status.signal(), status.code())) {
        Some((Some(signal), _)) => format!("was killed by signal {signal}"),
        Some((None, Some(0))) => "was asked to end, and did".to_owned(),
        Some((None, Some(code))) => format!("ended with exit code {code}"),
        _ => "has ended".to_owned(),
    }
}
