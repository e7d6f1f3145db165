//! The bytes between the gateway and a server: TCP, by TLS where the server wants it. A server that
//! takes nothing of what it is sent is given up.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::trust::Trust;
use super::{Scheme, ServerSettings};
use crate::fault::chain;
use crate::gathered::{ROOM, gathered};
use crate::stall::Stall;

/// A connection's bytes.
#[derive(Debug)]
pub(super) struct Wire {
    inner: Inner,
    /// How long nothing may be taken.
    stall: Stall,
}

#[derive(Debug)]
enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Connects; the caller limits the time. `stalled`: how long the server may then take nothing
    /// of what it is sent. An error says where the connection was to go.
    pub(super) async fn connect(
        settings: &ServerSettings,
        trust: Option<&Trust>,
        stalled: Duration,
    ) -> io::Result<Self> {
        let host = settings.host.trim_start_matches('[').trim_end_matches(']');
        let (stream, address) = dial(host, settings.port).await?;
        stream.set_nodelay(true)?;
        let inner = match (settings.scheme, trust) {
            (Scheme::Https, Some(trust)) => {
                let name = ServerName::try_from(host.to_owned());
                let name = name.map_err(io::Error::other)?;
                let connector = TlsConnector::from(Arc::clone(&trust.0));
                let secured = connector.connect(name, stream).await;
                let secured = secured.map_err(|error| at("no TLS with", address, &error))?;
                Inner::Tls(Box::new(secured))
            }
            (Scheme::Https, None) => {
                return Err(io::Error::other("nothing says which servers to trust"));
            }
            (Scheme::Http | Scheme::H2c, _) => Inner::Plain(stream),
        };
        Ok(Self { inner, stall: Stall::new(stalled) })
    }

    /// Limits how long `written` may be pending.
    fn limited<R>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        self.stall.limit(cx, written, |stalled| {
            let why = format!("the server took nothing for {stalled:?}");
            io::Error::new(io::ErrorKind::TimedOut, why)
        })
    }
}

/// Connects to the first of a host's addresses that can be reached.
async fn dial(host: &str, port: u16) -> io::Result<(TcpStream, SocketAddr)> {
    let unknown = |why: &str| format!("no address is known of {host}{why}");
    let found = lookup_host((host, port)).await;
    let found =
        found.map_err(|error| io::Error::new(error.kind(), unknown(&format!(": {error}"))))?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, unknown(""));
    for address in found {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => last = at("no connection to", address, &error),
        }
    }
    Err(last)
}

fn at(what: &str, address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {address}: {}", chain(error)))
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let done = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        this.limited(cx, done)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        this.limited(cx, done)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let done = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        };
        this.limited(cx, done)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [0; ROOM];
        if let Some(all) = gathered(bufs, &mut room) {
            return self.poll_write(cx, all);
        }
        let this = self.get_mut();
        let done = match &mut this.inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Inner::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        this.limited(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Inner::Plain(stream) => stream.is_write_vectored(),
            Inner::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
