//! A real PostgreSQL server, and databases on one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::process::{BOUND, Process, blocking, wait_until};
use super::server::{Kind, Server};
use super::user::{Account, give};

/// The server's superuser, who needs no password on the socket.
const ADMIN: &str = "postgres";

/// The directory of its data.
const DATA: &str = "data";

/// A PostgreSQL server on 127.0.0.1 with a directory of its own, which every commit is written to.
/// Its users have passwords.
pub type Postgres = Server<Plan>;

/// What a server is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    settings: Vec<String>,
    /// How clients are let in.
    method: &'static str,
    programs: PathBuf,
}

/// A database of its own, on a server that the process's tests share.
#[derive(Debug)]
pub struct PostgresDatabase {
    url: String,
}

impl Postgres {
    /// Starts a server, and returns when it answers. Panics where PostgreSQL is missing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with settings of the caller's own, such as `max_connections=20`.
    pub async fn start_with(settings: &[&str]) -> Self {
        let settings: Vec<_> = settings.iter().map(ToString::to_string).collect();
        blocking(move || Self::start_now(&settings, "scram-sha-256")).await
    }

    /// Starts a server that lets clients in by this method.
    fn start_now(settings: &[String], method: &'static str) -> Self {
        Self::begin(&Plan { settings: settings.to_vec(), method, programs: programs() })
    }

    /// Its first database, as its superuser, at its own address.
    pub fn url(&self) -> String {
        self.url_at(self.addr)
    }

    /// The same at another address, such as a proxy's.
    pub fn url_at(&self, addr: SocketAddr) -> String {
        format!("postgres://{ADMIN}:postgres@{addr}/postgres")
    }

    /// Runs statements as the superuser, and returns what they print: a line for each row. Panics
    /// on an error.
    pub fn run(&self, statements: &str) -> String {
        self.run_in("postgres", statements)
    }

    /// The same in another database.
    pub fn run_in(&self, database: &str, statements: &str) -> String {
        let place = (self.addr, self.directory.path());
        self.kind
            .try_run(place, database, statements)
            .unwrap_or_else(|| panic!("postgres refuses {statements:?}"))
    }

    /// A fresh database of a server that this process's tests share, and that ends with the
    /// process.
    pub async fn database() -> PostgresDatabase {
        static SHARED: Mutex<Option<Postgres>> = Mutex::new(None);
        static NEXT: AtomicU64 = AtomicU64::new(0);
        blocking(|| {
            let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // Asked for a password, unoptimised clients take long to answer.
            let settings = ["fsync=off".to_owned()];
            let server = shared.get_or_insert_with(|| Self::start_now(&settings, "trust"));
            let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
            server.run(&format!("CREATE DATABASE {name}"));
            let url = format!("postgres://{ADMIN}:postgres@{}/{name}", server.addr);
            PostgresDatabase { url }
        })
        .await
    }
}

impl Plan {
    fn try_run(
        &self,
        (addr, directory): (SocketAddr, &Path),
        database: &str,
        statements: &str,
    ) -> Option<String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-U", ADMIN, "-d", database])
            .args(["-p", &addr.port().to_string(), "-h"])
            .arg(directory)
            .args(["-c", statements])
            .stdin(Stdio::null())
            .output()
            .expect("psql starts");
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        output.status.success().then_some(text)
    }
}

impl Kind for Plan {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn prepare(&mut self, directory: &Path) {
        give(directory, ADMIN);
        initialise(&self.programs, &directory.join(DATA), self.method);
    }

    fn spawn(&self, addr: SocketAddr, directory: &Path) -> Process {
        let mut command = Command::new(self.programs.join(self.name()));
        command
            .arg("-D")
            .arg(directory.join(DATA))
            .args(["-h", "127.0.0.1", "-p", &addr.port().to_string(), "-k"])
            .arg(directory)
            .args(["-c", "max_connections=200", "-c", "log_min_messages=fatal"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        Account::of(ADMIN).take(&mut command);
        Process::spawn_ending(&mut command, directory, "QUIT")
    }

    fn answers(&self, addr: SocketAddr, directory: &Path, _process: &Process) -> bool {
        self.try_run((addr, directory), "postgres", "SELECT 1").is_some()
    }

    /// Its children end when they see that it is gone.
    fn killed(&self, directory: &Path) {
        wait_until("the server's children end", || !has_children(&directory.join(DATA)));
    }

    /// Has it end by itself: killed, it would leave a piece of shared memory behind for each test.
    fn end(&self, mut process: Process) {
        process.signal("QUIT");
        let begun = std::time::Instant::now();
        while !process.has_ended() && begun.elapsed() < BOUND {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl PostgresDatabase {
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// The directory of the newest PostgreSQL that is installed; the programs' own names where none is
/// where Debian puts them.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(version).max();
    newest.map_or_else(PathBuf::new, |version| {
        PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"))
    })
}

fn initialise(programs: &Path, data: &Path, method: &str) {
    let password = data.with_extension("password");
    std::fs::write(&password, "postgres").expect("a password is written");
    let account = Account::of(ADMIN);
    give(&password, ADMIN);
    let mut command = Command::new(programs.join("initdb"));
    command
        .arg("-D")
        .arg(data)
        .args(["-U", ADMIN, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-A", method])
        .args(["--auth-local=trust", "--pwfile"])
        .arg(&password)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    account.take(&mut command);
    let done = command.output().unwrap_or_else(|error| {
        panic!("initdb does not start: {error}; scripts/test installs PostgreSQL")
    });
    assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
}

/// Whether there are processes of a server that works in `data`.
fn has_children(data: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let place = |entry: std::fs::DirEntry| std::fs::read_link(entry.path().join("cwd")).ok();
    processes.filter_map(place).any(|place| place == data)
}
