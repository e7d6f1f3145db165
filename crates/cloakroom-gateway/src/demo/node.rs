//! One node: listens, serves the shop, keeps house, and ends in order.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cloakroom::Store;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::settings::NodeSettings;
use super::{child, housekeeping, ports, site};
use crate::fault::Fault;
use crate::{signals, terminal};

/// How long requests that are under way may take to end once the node was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Runs a node in this process until its standard input ends, or somebody asks it to end.
pub(crate) async fn run(settings: NodeSettings) -> Result<(), Fault> {
    let _ignored = signals::ignore_interrupt()?;
    let mut terminate = signals::terminate()?;
    let store = settings.place.connect().await?;
    let listener = ports::listen(settings.name, settings.addr).await?;
    terminal::say(child::READY);
    let orphaned = end_of_input();
    let asked = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = orphaned => {}
        }
    };
    serve(settings, store, listener, asked).await
}

/// Completes when whoever started this process has closed its standard input, or has died.
fn end_of_input() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut rest = [0; 64];
        while std::io::stdin().lock().read(&mut rest).is_ok_and(|read| read > 0) {}
        let _ = sender.send(());
    });
    receiver
}

/// Serves one node on `listener` until `asked` completes, and what is under way after that.
pub(crate) async fn serve(
    settings: NodeSettings,
    store: Arc<dyn Store>,
    listener: TcpListener,
    asked: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Fault> {
    let name = settings.name;
    let sessions = housekeeping::sessions(store)?;
    let _keeping = housekeeping::start(&sessions);
    let site = site::router(settings, sessions)?;
    let (told, ending) = oneshot::channel();
    let asked = async move {
        asked.await;
        let _ = told.send(());
    };
    let service = site.into_make_service_with_connect_info::<SocketAddr>();
    let mut serving =
        std::pin::pin!(axum::serve(listener, service).with_graceful_shutdown(asked).into_future());
    tokio::select! {
        served = &mut serving => return finished(name, served),
        _ = ending => {}
    }
    // A client that holds its connection open does not hold the node.
    match timeout(ENDS_WITHIN, serving).await {
        Ok(served) => finished(name, served),
        Err(_) => Ok(()),
    }
}

fn finished(name: super::settings::Name, served: std::io::Result<()>) -> Result<(), Fault> {
    served.map_err(|error| Fault::new(format!("node {name} cannot go on serving: {error}")))
}
