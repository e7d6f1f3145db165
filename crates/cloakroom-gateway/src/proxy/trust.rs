//! Which servers are believed to be who they say.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::fault::{Fault, chain};

/// Authorities that vouch for the servers of one upstream, and no others do.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Authorities(Arc<[CertificateDer<'static>]>);

impl Authorities {
    /// What stands in a PEM file, or what is wrong with that.
    pub(crate) fn of_pem(pem: &[u8]) -> Result<Self, &'static str> {
        let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        let found = found.map_err(|_| "it is not whole PEM")?;
        if found.is_empty() {
            return Err("there is no PEM certificate in it");
        }
        let all = Self(found.into());
        all.roots().ok_or("a certificate in it cannot be read")?;
        Ok(all)
    }

    fn roots(&self) -> Option<RootCertStore> {
        let mut roots = RootCertStore::empty();
        self.0.iter().try_for_each(|authority| roots.add(authority.clone())).ok()?;
        Some(roots)
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

/// The servers that are believed.
#[derive(Clone, Debug)]
pub(super) struct Trust(pub(super) Arc<ClientConfig>);

static OF_MACHINE: OnceLock<Trust> = OnceLock::new();

impl Trust {
    /// Those that these authorities vouch for; where there are none, the machine's.
    pub(super) fn of(authorities: Option<&Authorities>) -> Result<Self, Fault> {
        match authorities {
            Some(authorities) => {
                let roots = authorities.roots();
                let roots = roots.ok_or_else(|| Fault::new("an authority cannot be read"))?;
                Ok(Self(Arc::new(config(roots)?)))
            }
            None => Self::of_machine(),
        }
    }

    /// Those that the machine's authorities vouch for; read when the first server needs it.
    fn of_machine() -> Result<Self, Fault> {
        match OF_MACHINE.get() {
            Some(trust) => Ok(trust.clone()),
            None => {
                let trust = Self(Arc::new(config(of_machine()?)?));
                Ok(OF_MACHINE.get_or_init(|| trust).clone())
            }
        }
    }
}

fn of_machine() -> Result<RootCertStore, Fault> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let fault = Fault::new("there is no certificate authority on this machine to trust");
        return Err(fault.hint("Install the package `ca-certificates`, or set SSL_CERT_FILE."));
    }
    Ok(roots)
}

fn config(roots: RootCertStore) -> Result<ClientConfig, Fault> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| Fault::new(format!("no TLS: {}", chain(&error))))?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
