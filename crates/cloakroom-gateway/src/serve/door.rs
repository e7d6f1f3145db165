//! A place where clients come in: an address, and a certificate where it is by TLS.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;

use super::Listen;
use super::certificates::Certificates;
use super::connection::Connections;
use super::front::{ConnectionGuard, Serves};
use crate::fault::Fault;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// How long nothing is accepted after it could not be: open files may have run out.
const REST: Duration = Duration::from_millis(50);

/// A place where clients come in.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    certificates: Option<Certificates>,
}

impl Door {
    /// Listens, and reads the certificate. Needs a runtime.
    pub(crate) fn open(listen: &Listen) -> Result<Self, Fault> {
        let certificates = listen.tls.as_ref().map(Certificates::read).transpose()?;
        let listener = bind(listen).map_err(|error| refused(listen, &error))?;
        Ok(Self { listener, certificates })
    }

    /// Where it is, with the port that was found where none was asked for.
    pub(crate) fn address(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Lets clients in, for as long as it is polled.
    pub(super) async fn accept<S: Serves>(
        self,
        connections: Arc<Connections<S>>,
        capacity: Arc<Semaphore>,
    ) {
        let Self { listener, certificates } = self;
        let watching = certificates.clone().map(Certificates::watch);
        let _watching = watching.map(|watching| {
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(watching);
            tasks
        });
        loop {
            let Ok(permit) = Arc::clone(&capacity).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (connections, guard) =
                        (Arc::clone(&connections), ConnectionGuard::new(permit));
                    let tls = certificates.as_ref().map(Certificates::acceptor);
                    tokio::spawn(connections.serve(stream, peer.ip(), tls, guard));
                }
                Err(error) if is_the_clients(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "connections cannot be accepted");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    }
}

fn bind(listen: &Listen) -> io::Result<TcpListener> {
    let socket = match listen.address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    // Accepted connections have it, too: a client that is gone without a word is noticed some day.
    socket.set_keepalive(true)?;
    socket.bind(listen.address)?;
    socket.listen(BACKLOG)
}

fn refused(listen: &Listen, error: &io::Error) -> Fault {
    let address = listen.address;
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            Fault::new(format!("another program listens on {address} already"))
                .hint("stop that program, or choose another `address` in [[listen]]")
                .hint_without_file("stop that program, or choose another address with --listen")
        }
        io::ErrorKind::PermissionDenied => {
            Fault::new(format!("this user may not listen on {address}"))
                .hint(
                    "ports below 1024 need a right of their own; choose a higher one in [[listen]]",
                )
                .hint_without_file(
                    "ports below 1024 need a right of their own; choose a higher one with --listen",
                )
        }
        _ => Fault::new(format!("cannot listen on {address}: {error}"))
            .hint("write an address of this machine in [[listen]], or 0.0.0.0 for all of them")
            .hint_without_file("name an address of this machine with --listen, or 0.0.0.0 for all"),
    }
}

fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
