//! Seeing to it that all ports are free before anything is started.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::settings::{Name, Settings};
use crate::fault::Fault;

/// Finds the first of the ports that cannot be listened on.
pub(crate) fn check(settings: &Settings) -> Result<(), Fault> {
    let front = settings.front();
    TcpListener::bind(front).map_err(|error| unusable("the gateway", "--port", front, &error))?;
    for name in [Name::A, Name::B] {
        let addr = settings.addr(name);
        TcpListener::bind(addr).map_err(|error| unusable_for_node(name, addr, &error))?;
    }
    Ok(())
}

/// Listens for a node.
pub(crate) async fn listen(name: Name, addr: SocketAddr) -> Result<tokio::net::TcpListener, Fault> {
    let listener = tokio::net::TcpListener::bind(addr).await;
    listener.map_err(|error| unusable_for_node(name, addr, &error))
}

fn unusable_for_node(name: Name, addr: SocketAddr, error: &std::io::Error) -> Fault {
    unusable(&format!("node {name}"), &format!("--port-{}", name.lower()), addr, error)
}

/// What is to say of the port of `whose`, which the option `option` chooses.
fn unusable(whose: &str, option: &str, addr: SocketAddr, error: &std::io::Error) -> Fault {
    let port = addr.port();
    match error.kind() {
        ErrorKind::AddrInUse => Fault::new(format!("port {port} of {whose} is in use"))
            .hint(format!("stop what listens on {addr}, or choose another port with {option}")),
        ErrorKind::PermissionDenied => {
            Fault::new(format!("port {port} of {whose} is not yours to listen on"))
                .hint(format!("choose one above 1023 with {option}"))
        }
        _ => Fault::new(format!("{whose} cannot listen on {addr}: {error}"))
            .hint(format!("choose another port with {option}")),
    }
}
