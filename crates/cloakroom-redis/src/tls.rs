//! TLS: which authority to trust, and what to show the server.

use std::fmt;
use std::path::PathBuf;

use redis::{ClientTlsConfig, TlsCertificates};
use rustls::crypto::{CryptoProvider, ring};

use crate::connect::ConnectError;
use crate::url::Files;

/// How a server proves itself, and the client to it. Used where the URL asks for TLS.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tls {
    /// The authorities that may have signed the server's certificate, and no others. Default: those
    /// that this machine trusts.
    pub ca: Option<Pem>,
    /// What to show a server that asks who connects. Default: nothing.
    pub client: Option<ClientCertificate>,
}

/// A client's certificate and its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority.
    pub certificate: Pem,
    /// The key.
    pub key: Pem,
}

/// Certificates or a key in PEM format. Read once, when the store connects.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// In a file.
    File(PathBuf),
    /// At hand.
    Bytes(Vec<u8>),
}

impl fmt::Debug for Pem {
    /// Prints no bytes: they may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Bytes(_) => f.write_str("Bytes(..)"),
        }
    }
}

impl Tls {
    /// Puts the files that a URL names in the place of what is set.
    pub(crate) fn with(mut self, files: Files) -> Self {
        if let Some(ca) = files.ca {
            self.ca = Some(Pem::File(ca));
        }
        if let (Some(certificate), Some(key)) = (files.certificate, files.key) {
            let (certificate, key) = (Pem::File(certificate), Pem::File(key));
            self.client = Some(ClientCertificate { certificate, key });
        }
        self
    }

    /// Reads what there is to read.
    pub(crate) fn load(&self) -> Result<TlsCertificates, ConnectError> {
        provide();
        let client_tls = match &self.client {
            Some(ClientCertificate { certificate, key }) => Some(ClientTlsConfig {
                client_cert: certificate.read("CERTIFICATE-----")?,
                client_key: key.read("PRIVATE KEY-----")?,
            }),
            None => None,
        };
        let root_cert = self.ca.as_ref().map(|ca| ca.read("CERTIFICATE-----")).transpose()?;
        Ok(TlsCertificates { client_tls, root_cert })
    }
}

impl Pem {
    /// Reads it, and makes sure that it holds a block that ends its first line so. The driver takes
    /// an empty list of authorities, and then trusts nobody.
    fn read(&self, holds: &str) -> Result<Vec<u8>, ConnectError> {
        let (bytes, name) = match self {
            Self::File(path) => {
                let name = path.display().to_string();
                match std::fs::read(path) {
                    Ok(bytes) => (bytes, name),
                    Err(source) => return Err(ConnectError::File { name, source }),
                }
            }
            Self::Bytes(bytes) => (bytes.clone(), "the PEM bytes".to_owned()),
        };
        match bytes.windows(holds.len()).any(|window| window == holds.as_bytes()) {
            true => Ok(bytes),
            false => Err(ConnectError::Pem { name }),
        }
    }
}

/// Chooses who does the cryptography, unless the program has chosen: where two are built in and none
/// is chosen, rustls panics.
fn provide() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may just have chosen; that is as good.
        let _ = ring::default_provider().install_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_printed() {
        let pem = Pem::Bytes(b"hunter2".to_vec());
        assert_eq!(format!("{pem:?}"), "Bytes(..)");
    }

    #[test]
    fn what_holds_no_certificate_is_said() {
        let tls = |ca| Tls { ca: Some(ca), client: None };
        let error = tls(Pem::Bytes(b"nothing".to_vec())).load().unwrap_err();
        assert!(error.to_string().contains("the PEM bytes"), "{error}");
        let error = tls(Pem::File("/nowhere/ca.pem".into())).load().unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }

    #[test]
    fn what_the_url_names_counts() {
        let set = Tls { ca: Some(Pem::Bytes(vec![])), client: None };
        let files = Files { ca: Some("/ca".into()), ..Files::default() };
        assert_eq!(set.clone().with(files).ca, Some(Pem::File("/ca".into())));
        assert_eq!(set.clone().with(Files::default()), set);
    }
}
