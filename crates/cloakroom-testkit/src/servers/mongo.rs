//! A real server that speaks MongoDB's protocol.

use std::io::{Error, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::process::{BOUND, Process, free_addr, wait_until};
use super::redis::blocking;

/// How many ports are tried before a server that does not start is given up.
const PORTS_TRIED: usize = 10;
/// Names a server to use in place of one that is started: a replica set of MongoDB.
const GIVEN: &str = "MONGODB_URL";

/// A SecantusDB (`secantusd-py`), a replica set of one, on 127.0.0.1 with a directory of its own.
#[derive(Debug)]
pub struct Mongo {
    addr: SocketAddr,
    /// `None` between a kill and a restart. Dropped before the directory that it writes to.
    process: Option<Process>,
    directory: TempDir,
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
        let shared = move || SHARED.get_or_init(|| Mongo::start_now(&[])).url_of(&name);
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
        blocking(move || Self::start_now(&arguments)).await
    }

    fn start_now(arguments: &[String]) -> Self {
        for _ in 0..PORTS_TRIED {
            let mut mongo = Self {
                addr: free_addr(),
                process: None,
                directory: directory().expect("a temporary directory"),
                arguments: arguments.to_vec(),
            };
            if mongo.launch() {
                return mongo;
            }
        }
        panic!("secantusd-py ended {PORTS_TRIED} times before it answered");
    }

    /// Spawns the server and waits for its answer; `false` where it ends instead, which is what it
    /// does when its port is taken.
    fn launch(&mut self) -> bool {
        let mut command = Command::new("secantusd-py");
        command
            .args(["--host", "127.0.0.1", "--port"])
            .arg(self.addr.port().to_string())
            .arg("--storage-path")
            .arg(self.directory.path().join("data"))
            .args(["--cache-size", "128M", "--log-level", "ERROR"])
            .args(&self.arguments);
        let mut process = Process::spawn(&mut command, self.directory.path());
        let mut ended = false;
        wait_until("secantusd-py answers", || {
            ended = process.has_ended();
            ended || greet(self.addr).is_ok()
        });
        ended = ended || process.has_ended();
        self.process = (!ended).then_some(process);
        !ended
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
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
        self.arguments = arguments.iter().map(ToString::to_string).collect();
    }

    /// Kills it at once, without a chance to write anything.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Kills it where it still runs, and starts it again on the same port, with what it had
    /// written to its directory.
    pub async fn restart(self) -> Self {
        blocking(move || {
            let mut mongo = self;
            mongo.kill();
            wait_until("secantusd-py has its port back", || mongo.launch());
            mongo
        })
        .await
    }

    /// Stops it where it stands: connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.running().pause();
    }

    /// Lets it go on after [`Mongo::pause`].
    pub fn resume(&self) {
        self.running().resume();
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server was killed")
    }
}

/// A directory in memory, where there is such a thing: what a killed process has written is there
/// all the same, and every write is synced.
fn directory() -> Result<TempDir, Error> {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new())
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
