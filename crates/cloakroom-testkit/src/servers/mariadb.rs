//! A real MariaDB server, and databases on one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::process::{Process, free_addr, wait_until};
use super::redis::blocking;
use super::user::{Account, give};

/// How many ports are tried before a server that does not start is given up.
const PORTS_TRIED: usize = 10;
/// The user that its package has made for it.
const USER: &str = "mysql";
/// The database user of tests, who may do everything.
const ADMIN: &str = "cloakroom";

/// A MariaDB server on 127.0.0.1 with a directory of its own, which every commit is written to.
#[derive(Debug)]
pub struct MariaDb {
    addr: SocketAddr,
    /// `None` between a kill and a restart. Dropped before the directory that it writes to.
    process: Option<Process>,
    directory: TempDir,
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
        let directory = TempDir::new().expect("a temporary directory");
        give(directory.path(), USER);
        let mut server =
            Self { addr: free_addr(), process: None, directory, arguments: arguments.to_vec() };
        server.initialise();
        for _ in 0..PORTS_TRIED {
            if server.launch() {
                server.run(&format!(
                    "CREATE USER {ADMIN}@'%' IDENTIFIED BY 'mariadb'; \
                     GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION; CREATE DATABASE test_first"
                ));
                return server;
            }
            server.addr = free_addr();
        }
        panic!("mariadbd ended {PORTS_TRIED} times before it answered");
    }

    fn initialise(&self) {
        let mut command = Command::new("mariadb-install-db");
        command
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--tmpdir={}", self.directory.path().display()))
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

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Spawns the server and waits for its answer; `false` where it ends instead, which is what it
    /// does when its port is taken.
    fn launch(&mut self) -> bool {
        let mut command = Command::new("mariadbd");
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--tmpdir={}", self.directory.path().display()))
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--port={}", self.addr.port()))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=500"])
            .args(["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M"])
            .args(&self.arguments);
        Account::of(USER).take(&mut command);
        let mut process = Process::spawn(&mut command, self.directory.path());
        let mut ended = false;
        wait_until("mariadbd answers", || {
            ended = process.has_ended();
            ended || self.try_run("SELECT 1").is_some()
        });
        self.process = (!ended).then_some(process);
        !ended
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its first database, at its own address.
    pub fn url(&self) -> String {
        self.url_at(self.addr)
    }

    /// The same at another address, such as a proxy's.
    pub fn url_at(&self, addr: SocketAddr) -> String {
        format!("mariadb://{ADMIN}:mariadb@{addr}/test_first")
    }

    /// Kills it at once, without a chance to write anything.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Kills it where it still runs, and starts it again on the same port, with what it had
    /// written to its directory.
    pub async fn restart(self) -> Self {
        blocking(move || {
            let mut server = self;
            server.kill();
            wait_until("mariadbd has its port back", || server.launch());
            server
        })
        .await
    }

    /// Stops it where it stands: connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.running().pause();
    }

    /// Lets it go on after [`MariaDb::pause`].
    pub fn resume(&self) {
        self.running().resume();
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server was killed")
    }

    /// Runs statements as the superuser, and returns what they print: a line for each row. Panics
    /// on an error.
    pub fn run(&self, statements: &str) -> String {
        self.try_run(statements).unwrap_or_else(|| panic!("mariadb refuses {statements:?}"))
    }

    fn try_run(&self, statements: &str) -> Option<String> {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names", "--user=root"])
            .arg(format!("--socket={}", self.socket().display()))
            .args(["--execute", statements])
            .stdin(Stdio::null())
            .output()
            .expect("mariadb starts");
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        output.status.success().then_some(text)
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

impl MariaDbDatabase {
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}
