//! A real MySQL server, and what it shares with MariaDB: the server, and databases on one.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use super::process::{Process, free_addr, wait_until};
use super::redis::blocking;

/// How many ports are tried before a server that does not start is given up.
const PORTS_TRIED: usize = 10;
/// The database user of tests, who may do everything.
const ADMIN: &str = "cloakroom";
/// That user's password.
const PASSWORD: &str = "wardrobe";

/// A MySQL server. It is no Debian package that a stable system could have: `scripts/test mysql`
/// puts one below `target/servers`, and `MYSQLD` names another.
pub type MySql = Served<Mysqld>;

/// A server that speaks MySQL's protocol, on 127.0.0.1 with a directory of its own, which every
/// commit is written to.
#[derive(Debug)]
pub struct Served<B> {
    addr: SocketAddr,
    /// `None` between a kill and a restart. Dropped before the directory that it writes to.
    process: Option<Process>,
    directory: TempDir,
    arguments: Vec<String>,
    brand: PhantomData<B>,
}

/// A database of its own, on a server that the process's tests share.
#[derive(Debug)]
pub struct ServedDatabase {
    url: String,
}

/// What differs between the servers that speak MySQL's protocol.
pub trait Brand: Sized + Send + Sync + fmt::Debug + 'static {
    /// The scheme of its addresses.
    const SCHEME: &'static str;

    /// Makes the directory the server's own, and in it what the server has to find in `data`.
    fn initialise(directory: &Path, data: &Path);

    /// The command that starts it, with the arguments that only it knows.
    fn command() -> Command;

    /// The server that the process's tests share.
    fn shared() -> &'static Mutex<Option<Served<Self>>>;
}

/// The brand that is MySQL itself.
#[derive(Debug)]
pub enum Mysqld {}

impl Mysqld {
    /// The program with no configuration but its arguments. Panics where it is missing.
    fn program() -> Command {
        let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/mysql/mysqld");
        let path = std::env::var_os("MYSQLD").map_or_else(|| installed.into(), PathBuf::from);
        assert!(
            path.is_file(),
            "there is no MySQL at {}: scripts/test mysql puts it there; or say where one is with \
             MYSQLD",
            path.display()
        );
        let mut command = Command::new(path);
        // As root it wants to be told that it may; as anybody else it does not look at this.
        command.args(["--no-defaults", "--user=root"]);
        command
    }
}

impl Brand for Mysqld {
    const SCHEME: &'static str = "mysql";

    fn initialise(_: &Path, data: &Path) {
        let mut command = Self::program();
        command.arg("--initialize-insecure").arg(format!("--datadir={}", data.display()));
        finish(&mut command);
    }

    fn command() -> Command {
        let mut command = Self::program();
        // Neither its second protocol nor its statistics are asked for; a directory for files of
        // tables is not there.
        command.args(["--mysqlx=OFF", "--performance-schema=OFF", "--secure-file-priv=NULL"]);
        command
    }

    fn shared() -> &'static Mutex<Option<Served<Self>>> {
        static SHARED: Mutex<Option<MySql>> = Mutex::new(None);
        &SHARED
    }
}

/// Runs a command to its end. Panics where it fails, with what it said.
pub(super) fn finish(command: &mut Command) {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{program} does not start: {error}; scripts/test installs it")
    });
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

impl<B: Brand> Served<B> {
    /// Starts a server, and returns when it answers. Panics where its program is missing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with arguments of the caller's own, such as `--max-connections=20`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        blocking(move || Self::start_now(&arguments)).await
    }

    fn start_now(arguments: &[String]) -> Self {
        let mut server = Self {
            addr: free_addr(),
            process: None,
            directory: TempDir::new().expect("a temporary directory"),
            arguments: arguments.to_vec(),
            brand: PhantomData,
        };
        B::initialise(server.directory.path(), &server.data());
        for _ in 0..PORTS_TRIED {
            if server.launch() {
                server.run(&format!(
                    "CREATE USER {ADMIN}@'%' IDENTIFIED BY '{PASSWORD}'; \
                     GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION; CREATE DATABASE test_first"
                ));
                return server;
            }
            server.addr = free_addr();
        }
        panic!("the {} server ended {PORTS_TRIED} times before it answered", B::SCHEME);
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
        let mut command = B::command();
        command
            .arg(format!("--datadir={}", self.data().display()))
            .arg(format!("--tmpdir={}", self.directory.path().display()))
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--port={}", self.addr.port()))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=500"])
            .arg("--innodb-buffer-pool-size=64M")
            .args(&self.arguments);
        let mut process = Process::spawn(&mut command, self.directory.path());
        let mut ended = false;
        wait_until("the server answers", || {
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
        Self::url_of(addr, "test_first")
    }

    fn url_of(addr: SocketAddr, database: &str) -> String {
        format!("{}://{ADMIN}:{PASSWORD}@{addr}/{database}", B::SCHEME)
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
            wait_until("the server has its port back", || server.launch());
            server
        })
        .await
    }

    /// Stops it where it stands: connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.running().pause();
    }

    /// Lets it go on after [`Served::pause`].
    pub fn resume(&self) {
        self.running().resume();
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server was killed")
    }

    /// Runs statements as the superuser, and returns what they print: a line for each row. Panics
    /// on an error.
    pub fn run(&self, statements: &str) -> String {
        self.try_run(statements)
            .unwrap_or_else(|| panic!("the {} server refuses {statements:?}", B::SCHEME))
    }

    /// MariaDB's client, for both: it comes with what `scripts/test` installs.
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
    pub async fn database() -> ServedDatabase {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        blocking(|| {
            let mut shared = B::shared().lock().unwrap_or_else(PoisonError::into_inner);
            let arguments = ["--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0"];
            let arguments = arguments.map(ToOwned::to_owned);
            let server = shared.get_or_insert_with(|| Self::start_now(&arguments));
            let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
            server.run(&format!("CREATE DATABASE {name}"));
            ServedDatabase { url: Self::url_of(server.addr, &name) }
        })
        .await
    }
}

impl ServedDatabase {
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}
