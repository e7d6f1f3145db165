//! A real server that speaks MongoDB's protocol.

use std::io::{Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::process::{BOUND, Process, blocking};
use super::server::{Kind, Server};

/// Names a server to use in place of one that is started: a replica set of MongoDB.
const GIVEN: &str = "MONGODB_URL";

/// A SecantusDB (`secantusd-py`), a replica set of one, on 127.0.0.1 with a directory of its own.
pub type Mongo = Server<Plan>;

/// What a server is to be.
#[derive(Clone, Default, Debug)]
pub struct Plan {
    arguments: Vec<String>,
}

/// A database that nobody else uses, on a server that many tests use: one at a time where it was
/// started for them, because it is slow, and what they promise has deadlines. No test has two.
#[derive(Debug)]
pub struct MongoDatabase {
    /// Where it is, as a client is told.
    pub url: String,
    /// Whether its server outlives this process, so that whoever is done with it has to drop it.
    pub stays: bool,
    _turn: Option<SemaphorePermit<'static>>,
}

impl MongoDatabase {
    /// A database on the server that `MONGODB_URL` names, or else on one that all tests of this
    /// process share.
    pub async fn of_its_own() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static SHARED: OnceLock<Mongo> = OnceLock::new();
        static TURNS: Semaphore = Semaphore::const_new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cloakroom-test-{}-{number}", std::process::id());
        if let Ok(given) = std::env::var(GIVEN) {
            return Self { url: with_database(&given, &name), stays: true, _turn: None };
        }
        let shared = move || SHARED.get_or_init(|| Mongo::begin(&Plan::default())).url_of(&name);
        let turn = TURNS.acquire().await.ok();
        Self { url: blocking(shared).await, stays: false, _turn: turn }
    }
}

impl Mongo {
    /// Starts a server, and returns when it answers. Panics where `secantusd-py` is missing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with arguments of the caller's own, such as `--standalone`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        blocking(move || Self::begin(&Plan { arguments })).await
    }

    /// Where it listens, as a client is told, with a database.
    pub fn url(&self) -> String {
        self.url_of("cloakroom-test")
    }

    fn url_of(&self, database: &str) -> String {
        format!("mongodb://{}/{database}", self.addr)
    }

    /// Has it start with other arguments the next time.
    pub fn set_arguments(&mut self, arguments: &[&str]) {
        self.kind.arguments = arguments.iter().map(ToString::to_string).collect();
    }
}

impl Kind for Plan {
    fn name(&self) -> &'static str {
        "secantusd-py"
    }

    /// One in memory, where there is such a thing: what a killed process has written is there all
    /// the same, and every write is synced.
    fn directory(&self) -> Result<TempDir, Error> {
        TempDir::new_in("/dev/shm").or_else(|_| TempDir::new())
    }

    fn spawn(&self, addr: SocketAddr, directory: &Path) -> Process {
        let mut command = Command::new(self.name());
        command
            .args(["--host", "127.0.0.1", "--port"])
            .arg(addr.port().to_string())
            .arg("--storage-path")
            .arg(directory.join("data"))
            .args(["--cache-size", "128M", "--log-level", "ERROR"])
            .args(&self.arguments);
        Process::spawn(&mut command, directory)
    }

    fn answers(&self, addr: SocketAddr, _directory: &Path, _process: &Process) -> bool {
        greet(addr).is_ok()
    }
}

/// Says hello, and waits for any answer.
fn greet(addr: SocketAddr) -> Result<(), Error> {
    let mut stream = TcpStream::connect_timeout(&addr, BOUND)?;
    stream.set_read_timeout(Some(BOUND))?;
    stream.write_all(&hello())?;
    // The answer begins with its length.
    stream.read_exact(&mut [0; 4])
}

/// `{ hello: 1, $db: "admin" }`, as a message of the protocol.
fn hello() -> Vec<u8> {
    let fields = b"\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0";
    let number = |number: usize| u32::try_from(number).expect("it is small").to_le_bytes();
    // A header of four numbers, the flags, the kind of what follows, and that, with its length.
    let document = 4 + fields.len();
    let mut message = Vec::new();
    for word in [16 + 4 + 1 + document, 1, 0, 2013, 0] {
        message.extend(number(word));
    }
    message.push(0);
    message.extend(number(document));
    message.extend(fields);
    message
}

/// The same server, with this database. A user is looked for where it was, which is `admin` unless
/// the URL says otherwise.
fn with_database(url: &str, name: &str) -> String {
    let (servers, options) = url.split_once('?').unwrap_or((url, ""));
    let (scheme, rest) = servers.split_once("://").unwrap_or(("mongodb", servers));
    let (hosts, old) = rest.split_once('/').unwrap_or((rest, ""));
    let mut options = options.to_owned();
    if hosts.contains('@') && !options.to_ascii_lowercase().contains("authsource=") {
        let source = if old.is_empty() { "admin" } else { old };
        options = [options, format!("authSource={source}")].join("&");
    }
    format!("{scheme}://{hosts}/{name}?{}", options.trim_start_matches('&'))
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn a_server_is_given_another_database() {
        assert_eq!(with_database("mongodb://a", "x"), "mongodb://a/x?");
        assert_eq!(with_database("mongodb://a,b/old?w=1", "x"), "mongodb://a,b/x?w=1");
        let with_user = "mongodb://me:pw@a/x?authSource=admin";
        assert_eq!(with_database("mongodb://me:pw@a/", "x"), with_user);
        assert_eq!(with_database("mongodb://me:pw@a/?authSource=admin", "x"), with_user);
        let elsewhere = "mongodb://me:pw@a/x?tls=true&authSource=old";
        assert_eq!(with_database("mongodb://me:pw@a/old?tls=true", "x"), elsewhere);
    }
}
