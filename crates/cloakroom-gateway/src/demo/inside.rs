//! A node inside of this process: for a store that is this process's own memory.

use std::sync::Arc;

use cloakroom::Store;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::settings::NodeSettings;
use super::{node, ports};
use crate::fault::Fault;

/// A node with threads of its own. Dropping this kills it: its listener, its connections and all
/// else it was about are gone, as a process's would be.
#[derive(Debug)]
pub(crate) struct Node {
    stop: oneshot::Sender<()>,
    kill: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), Fault>>,
}

impl Node {
    /// Starts a node and returns once it listens.
    pub(crate) async fn start(
        settings: &NodeSettings,
        store: Arc<dyn Store>,
    ) -> Result<Self, Fault> {
        let name = settings.name;
        let fault =
            move |error: std::io::Error| Fault::new(format!("node {name} cannot start: {error}"));
        // It belongs to another runtime from here on.
        let listener = ports::listen(name, settings.addr).await?.into_std().map_err(fault)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(fault)?;
        let ((stop, stopped), (kill, killed)) = (oneshot::channel(), oneshot::channel());
        let (told, ended) = oneshot::channel();
        let settings = settings.clone();
        let run = move || {
            let served = runtime.block_on(async {
                let listener = TcpListener::from_std(listener).map_err(fault)?;
                let stopped = async {
                    // Whoever goes away without a word wants the end as well.
                    let _: Result<(), _> = stopped.await;
                };
                tokio::select! {
                    served = node::serve(settings, store, listener, stopped) => served,
                    _ = killed => Ok(()),
                }
            });
            // Drops what it was at; a password that is being hashed is not waited for.
            runtime.shutdown_background();
            let _ = told.send(served);
        };
        let named = std::thread::Builder::new().name(format!("node {name}"));
        named.spawn(run).map_err(fault)?;
        Ok(Self { stop, kill, ended })
    }

    /// Completes when the node has ended by itself.
    pub(crate) async fn ended(&mut self) -> Option<Fault> {
        (&mut self.ended).await.ok().and_then(Result::err)
    }

    /// Ends it at once, and waits until nothing of it is left.
    pub(crate) async fn kill(self) {
        let Self { kill, ended, .. } = self;
        drop(kill);
        let _ = ended.await;
    }

    /// Has it finish what it is at, and waits for that.
    pub(crate) async fn stop(self) {
        let Self { stop, kill: _kept, ended } = self;
        drop(stop);
        let _ = ended.await;
    }
}
