//! TLS: which authority to trust.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::connect::ConnectError;

/// Makes connections secret, and sure of whom they lead to.
#[derive(Clone)]
pub(crate) struct Connector(TlsConnector);

impl Connector {
    /// Trusts the authorities in a file, or those that this machine trusts.
    pub(crate) fn new(ca: Option<&Path>) -> Result<Self, ConnectError> {
        let roots = match ca {
            Some(path) => in_file(path)?,
            None => of_machine()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ConnectError::Certificates(error.into()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Makes a connection secret, where its other end is `host`.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.0.connect(name, stream).await
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

fn in_file(path: &Path) -> Result<RootCertStore, ConnectError> {
    let name = || path.display().to_string();
    let bytes =
        std::fs::read(path).map_err(|source| ConnectError::File { name: name(), source })?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|_| ConnectError::Pem { name: name() })?;
        roots.add(certificate).map_err(|_| ConnectError::Pem { name: name() })?;
    }
    match roots.is_empty() {
        true => Err(ConnectError::Pem { name: name() }),
        false => Ok(roots),
    }
}

fn of_machine() -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    // One that cannot be read is as good as none.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err(ConnectError::Certificates(
            "this machine trusts no authority: name one with ?ca=/path/ca.pem".into(),
        )),
        false => Ok(roots),
    }
}
