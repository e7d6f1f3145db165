//! A real PostgreSQL server, and databases on one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::process::{BOUND, Process, free_addr, wait_until};
use super::redis::blocking;
use super::user::{Account, give};

/// How many ports are tried before a server that does not start is given up.
const PORTS_TRIED: usize = 10;
/// The server's superuser, who needs no password on the socket.
const ADMIN: &str = "postgres";

/// A PostgreSQL server on 127.0.0.1 with a directory of its own, which every commit is written to.
/// Its users have passwords.
#[derive(Debug)]
pub struct Postgres {
    addr: SocketAddr,
    /// `None` between a kill and a restart. Dropped before the directory that it writes to.
    process: Option<Process>,
    directory: TempDir,
    settings: Vec<String>,
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
    fn start_now(settings: &[String], method: &str) -> Self {
        let programs = programs();
        let directory = TempDir::new().expect("a temporary directory");
        give(directory.path(), ADMIN);
        initialise(&programs, &directory.path().join("data"), method);
        let mut server = Self {
            addr: free_addr(),
            process: None,
            directory,
            settings: settings.to_vec(),
            programs,
        };
        for _ in 0..PORTS_TRIED {
            if server.launch() {
                return server;
            }
            server.addr = free_addr();
        }
        panic!("postgres ended {PORTS_TRIED} times before it answered");
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Spawns the server and waits for its answer; `false` where it ends instead, which is what it
    /// does when its port is taken.
    fn launch(&mut self) -> bool {
        let mut command = Command::new(self.programs.join("postgres"));
        command
            .arg("-D")
            .arg(self.data())
            .args(["-h", "127.0.0.1", "-p", &self.addr.port().to_string(), "-k"])
            .arg(self.directory.path())
            .args(["-c", "max_connections=200", "-c", "log_min_messages=fatal"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let account = Account::of(ADMIN);
        account.take(&mut command);
        let mut process = Process::spawn_ending(&mut command, self.directory.path(), "QUIT");
        let mut ended = false;
        wait_until("postgres answers", || {
            ended = process.has_ended();
            ended || self.try_run("postgres", "SELECT 1").is_some()
        });
        self.process = (!ended).then_some(process);
        !ended
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its first database, as its superuser, at its own address.
    pub fn url(&self) -> String {
        self.url_at(self.addr)
    }

    /// The same at another address, such as a proxy's.
    pub fn url_at(&self, addr: SocketAddr) -> String {
        format!("postgres://{ADMIN}:postgres@{addr}/postgres")
    }

    /// Kills it at once, without a chance to write anything.
    pub fn kill(&mut self) {
        if self.process.take().is_some() {
            // Its children end when they see that it is gone.
            wait_until("the server's children end", || !has_children(&self.data()));
        }
    }

    /// Kills it where it still runs, and starts it again on the same port, with what it had
    /// written to its directory.
    pub async fn restart(self) -> Self {
        blocking(move || {
            let mut server = self;
            server.kill();
            wait_until("postgres has its port back", || server.launch());
            server
        })
        .await
    }

    /// Stops the server's parent where it stands: nobody new is let in.
    pub fn pause(&self) {
        self.running().pause();
    }

    /// Lets it go on after [`Postgres::pause`].
    pub fn resume(&self) {
        self.running().resume();
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server was killed")
    }

    /// Runs statements as the superuser, and returns what they print: a line for each row. Panics
    /// on an error.
    pub fn run(&self, statements: &str) -> String {
        self.run_in("postgres", statements)
    }

    /// The same in another database.
    pub fn run_in(&self, database: &str, statements: &str) -> String {
        self.try_run(database, statements)
            .unwrap_or_else(|| panic!("postgres refuses {statements:?}"))
    }

    fn try_run(&self, database: &str, statements: &str) -> Option<String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-U", ADMIN, "-d", database])
            .args(["-p", &self.addr.port().to_string(), "-h"])
            .arg(self.directory.path())
            .args(["-c", statements])
            .stdin(Stdio::null())
            .output()
            .expect("psql starts");
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        output.status.success().then_some(text)
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

impl Drop for Postgres {
    /// Has it end by itself: killed, it would leave a piece of shared memory behind for each test.
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("QUIT");
            let begun = std::time::Instant::now();
            while !process.has_ended() && begun.elapsed() < BOUND {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
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
