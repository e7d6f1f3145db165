//! The certificate of a door, read again when its files change. A bad new one is refused, and the
//! old one stays.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::TlsFiles;
use crate::blocking;
use crate::fault::{Fault, chain};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A certificate that may change. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    files: TlsFiles,
    current: Arc<ArcSwap<Loaded>>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    text: Text,
}

/// What stands in the files.
#[derive(Clone, PartialEq, Eq)]
struct Text {
    certificates: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
}

impl Certificates {
    /// Reads the files.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, Fault> {
        let loaded = Text::read(files)?.load(files)?;
        Ok(Self { files: files.clone(), current: Arc::new(ArcSwap::from_pointee(loaded)) })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.load().config).into()
    }

    /// Looks at the files again and again.
    pub(super) async fn watch(self) {
        again_and_again(LOOK_EVERY, move |refused| self.look(refused)).await;
    }

    /// Takes up what stands in the files, where it changed. Returns what is refused; what was
    /// refused before is not tried again.
    fn look(&self, refused: Option<Text>) -> Option<Text> {
        // Missing for a moment while they are replaced: that is no news.
        let text = Text::read(&self.files).ok()?;
        if text == self.current.load().text || refused.as_ref() == Some(&text) {
            return refused;
        }
        let certificates = self.files.certificates.display();
        match text.clone().load(&self.files) {
            Ok(loaded) => {
                self.current.store(Arc::new(loaded));
                tracing::info!(%certificates, "took up a new certificate");
                None
            }
            Err(error) => {
                tracing::warn!(%certificates, %error, "a new certificate is refused; the old one stays");
                Some(text)
            }
        }
    }
}

/// Looks, and never ends. What was refused is told to the next look, so that it is not said again.
async fn again_and_again<L>(every: Duration, look: L)
where
    L: Fn(Option<Text>) -> Option<Text> + Clone + Send + 'static,
{
    let mut refused = None;
    loop {
        tokio::time::sleep(every).await;
        let (look, last) = (look.clone(), refused.take());
        match blocking::away(move || look(last)).await {
            Ok(last) => refused = last,
            Err(fault) => tracing::error!(%fault, "the look at a certificate is taken again"),
        }
    }
}

impl Text {
    fn read(files: &TlsFiles) -> Result<Self, Fault> {
        let read = |path: &Path| {
            let fault = |error| Fault::new(format!("cannot read {}: {error}", path.display()));
            std::fs::read(path).map_err(fault)
        };
        Ok(Self { certificates: read(&files.certificates)?, key: read(&files.key)?.into() })
    }

    fn load(self, files: &TlsFiles) -> Result<Loaded, Fault> {
        let bad = |path: &Path, why: &str| Fault::new(format!("{}: {why}", path.display()));
        let chain_of =
            CertificateDer::pem_slice_iter(&self.certificates).collect::<Result<Vec<_>, _>>();
        let certificates = chain_of.ok().filter(|found| !found.is_empty());
        let certificates = certificates
            .ok_or_else(|| bad(&files.certificates, "there is no PEM certificate in it"))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| bad(&files.key, "there is no PEM private key in it"))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions();
        let config = config.map_err(|error| Fault::new(format!("no TLS: {}", chain(&error))))?;
        // Also where the key does not belong to the certificate.
        let config = config.with_no_client_auth().with_single_cert(certificates, key);
        let mut config = config.map_err(|error| bad(&files.certificates, &chain(&error)))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Loaded { config: Arc::new(config), text: self })
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Loaded(..)")
    }
}

#[cfg(test)]
mod tests {
    use cloakroom_testkit::servers::Certificates as Signed;

    use super::*;

    fn files(signed: &Signed) -> TlsFiles {
        TlsFiles { certificates: signed.server(), key: signed.server_key() }
    }

    #[tokio::test]
    async fn a_look_that_fails_is_not_the_last() {
        let (looked, mut looks) = tokio::sync::mpsc::unbounded_channel();
        let watching = tokio::spawn(again_and_again(Duration::from_millis(1), move |_| {
            looked.send(()).unwrap();
            panic!("on purpose")
        }));
        for _ in 0..3 {
            looks.recv().await.unwrap();
        }
        watching.abort();
    }

    #[test]
    fn a_new_certificate_is_taken_up_and_a_bad_one_refused() {
        let (first, other) = (Signed::make(), Signed::make());
        let certificates = Certificates::read(&files(&first)).unwrap();
        let before = std::fs::read(first.server()).unwrap();
        assert!(certificates.look(None).is_none());
        // A certificate with another's key, half of one, and none.
        let theirs = std::fs::read(other.server()).unwrap();
        for bad in [&theirs[..], &before[..before.len() / 2], b""] {
            std::fs::write(first.server(), bad).unwrap();
            let refused = certificates.look(None);
            assert!(refused.is_some());
            assert!(certificates.current.load().text.certificates == before);
            assert!(certificates.look(refused).is_some());
        }
        std::fs::write(first.server(), &theirs).unwrap();
        std::fs::copy(other.server_key(), first.server_key()).unwrap();
        assert!(certificates.look(None).is_none());
        assert!(certificates.current.load().text.certificates == theirs);
    }
}
