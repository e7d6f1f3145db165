//! The bytes between the gateway and a server: TCP, by TLS where the server wants it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Scheme, ServerSettings};
use crate::fault::{Fault, chain};
use crate::gathered::{ROOM, gathered};

/// A connection's bytes.
#[derive(Debug)]
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The servers that are believed to be who they say.
#[derive(Clone, Debug)]
pub(super) struct Trust(Arc<ClientConfig>);

static OF_MACHINE: OnceLock<Trust> = OnceLock::new();

impl Trust {
    /// Those that the machine's authorities vouch for; read when the first server needs it.
    pub(super) fn of_machine() -> Result<Self, Fault> {
        match OF_MACHINE.get() {
            Some(trust) => Ok(trust.clone()),
            None => {
                let trust = Self(Arc::new(of_machine()?));
                Ok(OF_MACHINE.get_or_init(|| trust).clone())
            }
        }
    }
}

fn of_machine() -> Result<ClientConfig, Fault> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let fault = Fault::new("there is no certificate authority on this machine to trust");
        return Err(fault.hint("Install the package `ca-certificates`, or set SSL_CERT_FILE."));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| Fault::new(format!("no TLS: {}", chain(&error))))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl Wire {
    /// Connects. The caller limits the time.
    pub(super) async fn connect(
        settings: &ServerSettings,
        trust: Option<&Trust>,
    ) -> io::Result<Self> {
        let host = settings.host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, settings.port)).await?;
        stream.set_nodelay(true)?;
        match (settings.scheme, trust) {
            (Scheme::Https, Some(trust)) => {
                let name = ServerName::try_from(host.to_owned());
                let name = name.map_err(io::Error::other)?;
                let connector = TlsConnector::from(Arc::clone(&trust.0));
                Ok(Self::Tls(Box::new(connector.connect(name, stream).await?)))
            }
            (Scheme::Https, None) => Err(io::Error::other("nothing says which servers to trust")),
            (Scheme::Http | Scheme::H2c, _) => Ok(Self::Plain(stream)),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
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
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
