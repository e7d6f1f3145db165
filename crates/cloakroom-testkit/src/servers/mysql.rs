//! A real MySQL server, and what it shares with MariaDB: the server, and databases on one.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::process::{Process, blocking};
use super::server::{Kind, Server};

/// The database user of tests, who may do everything.
const ADMIN: &str = "cloakroom";
/// That user's password.
const PASSWORD: &str = "wardrobe";

/// A MySQL server on 127.0.0.1 with a directory of its own, which every commit is written to. It is
/// no Debian package that a stable system could have: `scripts/test mysql` puts one below
/// `target/servers`, and `MYSQLD` names another.
pub type MySql = Server<Plan<Mysqld>>;

/// What a server that speaks MySQL's protocol is to be.
#[derive(Clone, Debug)]
pub struct Plan<B> {
    arguments: Vec<String>,
    brand: PhantomData<B>,
}

/// A database of its own, on a server that the process's tests share.
#[derive(Debug)]
pub struct MySqlDatabase {
    url: String,
}

/// What differs between the servers that speak MySQL's protocol.
pub trait Brand: Clone + Debug + Send + 'static {
    /// The program's name.
    const NAME: &'static str;
    /// The scheme of its addresses.
    const SCHEME: &'static str;

    /// Makes the directory the server's own, and in it what the server has to find in `data`.
    fn initialise(directory: &Path, data: &Path);

    /// The command that starts it, with the arguments that only it knows.
    fn command() -> Command;

    /// The server that the process's tests share.
    fn shared() -> &'static Mutex<Option<Server<Plan<Self>>>>;
}

/// The brand that is MySQL itself.
#[derive(Clone, Debug)]
pub enum Mysqld {}

impl<B: Brand> Server<Plan<B>> {
    /// Starts a server, and returns when it answers. Panics where its program is missing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with arguments of the caller's own, such as `--max-connections=20`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        blocking(move || Self::start_now(arguments)).await
    }

    fn start_now(arguments: Vec<String>) -> Self {
        let server = Self::begin(&Plan { arguments, brand: PhantomData });
        server.run(&format!(
            "CREATE USER {ADMIN}@'%' IDENTIFIED BY '{PASSWORD}'; \
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
        Self::url_of(addr, "test_first")
    }

    fn url_of(addr: SocketAddr, database: &str) -> String {
        format!("{}://{ADMIN}:{PASSWORD}@{addr}/{database}", B::SCHEME)
    }

    /// Runs statements as the superuser, and returns what they print: a line for each row. Panics
    /// on an error.
    pub fn run(&self, statements: &str) -> String {
        try_run(self.directory.path(), statements)
            .unwrap_or_else(|| panic!("{} refuses {statements:?}", B::NAME))
    }

    /// A fresh database of a server that this process's tests share, and that ends with the
    /// process.
    pub async fn database() -> MySqlDatabase {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        blocking(|| {
            let mut shared = B::shared().lock().unwrap_or_else(PoisonError::into_inner);
            let server = shared.get_or_insert_with(|| {
                let hasty = ["--innodb-flush-log-at-trx-commit=0", "--sync-binlog=0"];
                Self::start_now(hasty.map(ToOwned::to_owned).to_vec())
            });
            let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
            server.run(&format!("CREATE DATABASE {name}"));
            MySqlDatabase { url: Self::url_of(server.addr, &name) }
        })
        .await
    }
}

impl<B: Brand> Kind for Plan<B> {
    fn name(&self) -> &'static str {
        B::NAME
    }

    fn prepare(&mut self, directory: &Path) {
        B::initialise(directory, &data(directory));
    }

    fn spawn(&self, addr: SocketAddr, directory: &Path) -> Process {
        let mut command = B::command();
        command
            .arg(format!("--datadir={}", data(directory).display()))
            .arg(format!("--tmpdir={}", directory.display()))
            .arg(format!("--socket={}", socket(directory).display()))
            .arg(format!("--port={}", addr.port()))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--max-connections=500"])
            .arg("--innodb-buffer-pool-size=64M")
            .args(&self.arguments);
        Process::spawn(&mut command, directory)
    }

    fn answers(&self, _addr: SocketAddr, directory: &Path, _process: &Process) -> bool {
        try_run(directory, "SELECT 1").is_some()
    }
}

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
    const NAME: &'static str = "mysqld";
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

    fn shared() -> &'static Mutex<Option<Server<Plan<Self>>>> {
        static SHARED: Mutex<Option<MySql>> = Mutex::new(None);
        &SHARED
    }
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("socket")
}

/// Runs a command to its end. Panics where it fails, with what it said.
pub(super) fn finish(command: &mut Command) {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("{program} does not start: {error}; scripts/test installs it")
    });
    assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
}

/// MariaDB's client, for both: it comes with what `scripts/test` installs.
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

impl MySqlDatabase {
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}
