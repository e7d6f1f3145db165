//! Seeing to it that both ports are free before anything is started.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::settings::{Name, Settings};
use crate::fault::Fault;

/// Finds the first of the two ports that cannot be listened on.
pub(crate) fn check(settings: &Settings) -> Result<(), Fault> {
    for name in [Name::A, Name::B] {
        let addr = settings.addr(name);
        TcpListener::bind(addr).map_err(|error| unusable(name, addr, &error))?;
    }
    Ok(())
}

/// Listens for a node.
pub(crate) async fn listen(name: Name, addr: SocketAddr) -> Result<tokio::net::TcpListener, Fault> {
    let listener = tokio::net::TcpListener::bind(addr).await;
    listener.map_err(|error| unusable(name, addr, &error))
}

fn unusable(name: Name, addr: SocketAddr, error: &std::io::Error) -> Fault {
    let (port, option) = (addr.port(), format!("--port-{}", name.lower()));
    match error.kind() {
        ErrorKind::AddrInUse => Fault::new(format!("port {port} of node {name} is in use"))
            .hint(format!("stop what listens on {addr}, or choose another port with {option}")),
        ErrorKind::PermissionDenied => {
            Fault::new(format!("port {port} of node {name} is not yours to listen on"))
                .hint(format!("choose one above 1023 with {option}"))
        }
        _ => Fault::new(format!("node {name} cannot listen on {addr}: {error}"))
            .hint(format!("choose another port with {option}")),
    }
}
