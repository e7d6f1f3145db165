//! An authority for tests, and what it has signed: a server at 127.0.0.1, and a client.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Certificates in files, made by `openssl`.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// Makes an authority, and has it sign a server and a client. Panics where `openssl` is
    /// missing.
    pub fn make() -> Self {
        let made = Self { directory: TempDir::new().expect("a temporary directory") };
        made.openssl(&format!(
            "req -x509 {NEW_KEY} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
        ));
        made.sign("server", "subjectAltName=IP:127.0.0.1,DNS:localhost");
        made.sign("client", "extendedKeyUsage=clientAuth");
        made
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The server's certificate.
    pub fn server(&self) -> PathBuf {
        self.file("server.pem")
    }

    /// The server's key.
    pub fn server_key(&self) -> PathBuf {
        self.file("server.key")
    }

    /// The client's certificate.
    pub fn client(&self) -> PathBuf {
        self.file("client.pem")
    }

    /// The client's key.
    pub fn client_key(&self) -> PathBuf {
        self.file("client.key")
    }

    /// What makes `redis-server` the server, and lets clients have a certificate or not.
    pub(super) fn arguments(&self) -> Vec<String> {
        [
            ("--tls-cert-file", "server.pem"),
            ("--tls-key-file", "server.key"),
            ("--tls-ca-cert-file", "ca.pem"),
        ]
        .iter()
        .flat_map(|(name, file)| [(*name).to_owned(), self.file(file).display().to_string()])
        .chain(["--tls-auth-clients".to_owned(), "optional".to_owned()])
        .collect()
    }

    /// What makes `nats-server` the server, and has clients show a certificate.
    pub(super) fn of_nats(&self) -> Vec<String> {
        [("--tlscert", "server.pem"), ("--tlskey", "server.key"), ("--tlscacert", "ca.pem")]
            .iter()
            .flat_map(|(name, file)| [(*name).to_owned(), self.file(file).display().to_string()])
            .chain(["--tls".to_owned(), "--tlsverify".to_owned()])
            .collect()
    }

    fn sign(&self, name: &str, extension: &str) {
        self.openssl(&format!(
            "req -x509 -CA ca.pem -CAkey ca.key {NEW_KEY} -keyout {name}.key -out {name}.pem \
             -days 2 -subj /CN={name} -addext basicConstraints=critical,CA:FALSE \
             -addext {extension}"
        ));
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn openssl(&self, arguments: &str) {
        let made = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.path())
            .output()
            .expect("openssl is installed");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "openssl {arguments}: {said}");
    }
}

/// A new key of a kind that is quick to make.
const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
