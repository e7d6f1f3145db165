//! A real MariaDB server, and databases on one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::process::{Process, blocking};
use super::server::{Kind, Server};
use super::user::{Account, give};

/// The user that its package has made for it.
const USER: &str = "mysql";
/// The database user of tests, who may do everything.
const ADMIN: &str = "cloakroom";

/// A MariaDB server on 127.0.0.1 with a directory of its own, which every commit is written to.
pub type MariaDb = Server<Plan>;

/// What a server is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    arguments: Vec<String>,
}

/// A database of its own, on a server that the process's tests share.
#[derive(Debug)]
pub struct MariaDbDatabase {
    url: String,
}

impl MariaDb {
    /// Starts a server, and returns when it answers. Panics where MariaDB is missing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with arguments of the caller's own, such as `--max-connections=20`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        blocking(move || Self::start_now(&arguments)).await
    }

    fn start_now(arguments: &[String]) -> Self {
        let server = Self::begin(&Plan { arguments: arguments.to_vec() });
        server.run(&format!(
            "CREATE USER {ADMIN}@'%' IDENTIFIED BY 'mariadb'; \
             GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION; CREATE DATABASE test_first"
        ));
        server
    }

    /// Its first database, at its own address.
    pub fn url(&self) -> String {
        self.url_at(self.addr)
    }

    /// The same at another address, such as a proxy's.
    pub fn url_at(&self, addr: SocketAddr) -> String {
        format!("mariadb://{ADMIN}:mariadb@{addr}/test_first")
    }

    /// Runs statements as the superuser, and returns what they print: a line for each row. Panics
    /// on an error.
    pub fn run(&self, statements: &str) -> String {
        try_run(self.directory.path(), statements)
            .unwrap_or_else(|| panic!("mariadb refuses {statements:?}"))
    }

    /// A fresh database of a server that this process's tests share, and that ends with the
    /// process.
    pub async fn database() -> MariaDbDatabase {
        static SHARED: Mutex<Option<MariaDb>> = Mutex::new(None);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        blocking(|| {
            let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let arguments = ["--innodb-flush-log-at-trx-commit=0".to_owned()];
            let server = shared.get_or_insert_with(|| Self::start_now(&arguments));
            let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
            server.run(&format!("CREATE DATABASE {name}"));
            MariaDbDatabase { url: format!("mysql://{ADMIN}:mariadb@{}/{name}", server.addr) }
        })
        .await
    }
}

impl Kind for Plan {
    fn name(&self) -> &'static str {
        "mariadbd"
    }

    fn prepare(&mut self, directory: &Path) {
        give(directory, USER);
        let mut command = Command::new("mariadb-install-db");
        command
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg(format!("--datadir={}", data(directory).display()))
            .arg(format!("--tmpdir={}", directory.display()))
            .args(["--innodb-fast-shutdown=0", "--skip-name-resolve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Account::of(USER).take(&mut command);
        let done = command.output().unwrap_or_else(|error| {
            panic!("mariadb-install-db does not start: {error}; scripts/test installs MariaDB")
        });
        assert!(
            done.status.success(),
            "mariadb-install-db: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    fn spawn(&self, addr: SocketAddr, directory: &Path) -> Process {
        let mut command = Command::new(self.name());
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", data(directory).display()))
            .arg(format!("--tmpdir={}", directory.display()))
            .arg(format!("--socket={}", socket(directory).display()))
            .arg(format!("--port={}", addr.port()))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=500"])
            .args(["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M"])
            .args(&self.arguments);
        Account::of(USER).take(&mut command);
        Process::spawn(&mut command, directory)
    }

    fn answers(&self, _addr: SocketAddr, directory: &Path, _process: &Process) -> bool {
        try_run(directory, "SELECT 1").is_some()
    }
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("socket")
}

fn try_run(directory: &Path, statements: &str) -> Option<String> {
    let output = Command::new("mariadb")
        .args(["--no-defaults", "--batch", "--skip-column-names", "--user=root"])
        .arg(format!("--socket={}", socket(directory).display()))
        .args(["--execute", statements])
        .stdin(Stdio::null())
        .output()
        .expect("mariadb starts");
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    output.status.success().then_some(text)
}

impl MariaDbDatabase {
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}
