//! A real Redis or Valkey server.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use super::certificates::Certificates;
use super::process::{BOUND, Process, blocking, free_addr, wait_until};
use super::server::{Kind, Server};

/// What the configuration of a sentinel is called.
const SENTINEL: &str = "sentinel.conf";

/// A `redis-server` on 127.0.0.1 with a directory of its own, which it appends every write to.
pub type Redis = Server<Plan>;

/// What a server is to be.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(super) role: Role,
    pub(super) arguments: Vec<String>,
    /// The password of its default user.
    pub(super) password: Option<String>,
    /// Whether it is Valkey, which speaks the same.
    pub(super) valkey: bool,
    /// A second port: for TLS, or for the other nodes of a cluster. Each server finds its own.
    pub(super) second: Option<SocketAddr>,
}

/// What a server is among others.
#[derive(Clone, Debug, Default)]
pub(super) enum Role {
    /// It is by itself, or a master or a replica.
    #[default]
    Alone,
    /// It listens for TLS, too.
    Secured,
    /// It is a node of a cluster.
    Node,
    /// It is a sentinel, with this configuration.
    Sentinel(String),
}

impl Kind for Plan {
    fn name(&self) -> &'static str {
        if self.valkey { "valkey-server" } else { "redis-server" }
    }

    fn prepare(&mut self, directory: &Path) {
        self.second = Some(free_addr());
        if let Role::Sentinel(configuration) = &self.role {
            let file = directory.join(SENTINEL);
            std::fs::write(&file, configuration).expect("a configuration is written");
        }
    }

    fn spawn(&self, addr: SocketAddr, directory: &Path) -> Process {
        let mut command = Command::new(self.name());
        if let Role::Sentinel(_) = &self.role {
            command.arg(directory.join(SENTINEL)).arg("--sentinel");
        }
        command
            .args(["--bind", "127.0.0.1", "--port"])
            .arg(addr.port().to_string())
            .arg("--dir")
            .arg(directory)
            .args(self.of_role())
            .args(&self.arguments);
        if let Some(password) = &self.password {
            command.args(["--requirepass", password, "--masterauth", password]);
        }
        Process::spawn(&mut command, directory)
    }

    /// It tells who it is while it still loads what it had written.
    fn answers(&self, addr: SocketAddr, _directory: &Path, process: &Process) -> bool {
        let own = format!("process_id:{}\r", process.id());
        let says = |words: &[&str], what: &str| {
            ask(addr, self.password.as_deref(), words).is_ok_and(|answer| answer.contains(what))
        };
        says(&["INFO", "server"], &own) && says(&["PING"], "PONG")
    }
}

impl Plan {
    /// The arguments that come of what it is.
    fn of_role(&self) -> Vec<String> {
        let second = self.second.map_or(0, |addr| addr.port()).to_string();
        let words: &[&str] = match self.role {
            Role::Sentinel(_) => return Vec::new(),
            Role::Alone => &[],
            Role::Secured => &["--tls-port", &second],
            Role::Node => &["--cluster-enabled", "yes", "--cluster-port", &second],
        };
        let always = ["--save", "", "--appendonly", "yes", "--enable-debug-command", "yes"];
        always.iter().chain(words).map(ToString::to_string).collect()
    }
}

impl Redis {
    /// Starts a server, and returns when it answers. Panics where `redis-server` is missing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with arguments of the caller's own, such as `--maxmemory-policy`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        blocking(move || Self::begin(&Plan { arguments, ..Plan::default() })).await
    }

    /// Starts a Valkey server. Panics where `valkey-server` is missing.
    pub async fn start_valkey() -> Self {
        blocking(|| Self::begin(&Plan { valkey: true, ..Plan::default() })).await
    }

    /// Starts a server that asks for a password, and that listens for TLS on a second port.
    pub async fn start_secured(certificates: &Certificates, password: &str) -> Self {
        Self::start_secured_with(certificates, password, &[]).await
    }

    /// Starts the same, with arguments of the caller's own.
    pub async fn start_secured_with(
        certificates: &Certificates,
        password: &str,
        arguments: &[&str],
    ) -> Self {
        let arguments = arguments.iter().map(ToString::to_string);
        let plan = Plan {
            role: Role::Secured,
            arguments: certificates.arguments().into_iter().chain(arguments).collect(),
            password: Some(password.to_owned()),
            ..Plan::default()
        };
        blocking(move || Self::begin(&plan)).await
    }

    /// Where it listens, as a client is told.
    pub fn url(&self) -> String {
        match &self.kind.password {
            Some(password) => format!("redis://:{password}@{}", self.addr),
            None => format!("redis://{}", self.addr),
        }
    }

    /// Where it listens for TLS, or for the other nodes of its cluster.
    pub fn second_addr(&self) -> SocketAddr {
        self.kind.second.expect("it was found before the start")
    }

    /// Sends one command on a connection of its own, and returns the answer as text: the items of
    /// an array a line each, nil as `(nil)`. Panics on an error.
    pub fn command(&self, words: &[&str]) -> String {
        ask(self.addr, self.kind.password.as_deref(), words)
            .unwrap_or_else(|error| panic!("redis-server refuses {words:?}: {error}"))
    }

    /// Waits until a replica has all that this master has written by now. `WAIT` does not tell that:
    /// it asks for the writes of its own connection.
    pub fn replicated(&self) {
        let info = || self.command(&["INFO", "replication"]);
        let written = offset(&info(), "master_repl_offset:").expect("it says how far it is");
        wait_until("a replica has all that its master has", || {
            let info = info();
            let online = info.lines().filter(|line| line.contains("state=online"));
            online.filter_map(|line| offset(line, ",offset=")).any(|has| has >= written)
        });
    }
}

/// The number that stands behind `name`.
fn offset(text: &str, name: &str) -> Option<u64> {
    let rest = text.split_once(name)?.1;
    let digits = rest.split(|byte: char| !byte.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// Sends one command as [`Redis::command`] does; an error where there is no good answer.
pub(super) fn ask(
    addr: SocketAddr,
    password: Option<&str>,
    words: &[&str],
) -> Result<String, Error> {
    let mut stream = TcpStream::connect_timeout(&addr, BOUND)?;
    stream.set_read_timeout(Some(BOUND))?;
    if let Some(password) = password {
        stream.write_all(request(&["AUTH", password]).as_bytes())?;
        answer(&mut BufReader::new(&stream))?;
    }
    stream.write_all(request(words).as_bytes())?;
    answer(&mut BufReader::new(stream))
}

fn request(words: &[&str]) -> String {
    let head = format!("*{}\r\n", words.len());
    words.iter().fold(head, |head, word| format!("{head}${}\r\n{word}\r\n", word.len()))
}

/// Reads one answer of the protocol's second version.
fn answer(input: &mut impl BufRead) -> Result<String, Error> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let line = line.trim_end();
    let (first, rest) = line.split_at_checked(1).ok_or(Error::from(ErrorKind::UnexpectedEof))?;
    match (first, rest) {
        ("+" | ":", _) => Ok(rest.to_owned()),
        ("$" | "*", "-1") => Ok("(nil)".to_owned()),
        ("$", _) => bulk(input, length(rest)?),
        ("*", _) => {
            let items: Result<Vec<String>, Error> =
                (0..length(rest)?).map(|_| answer(input)).collect();
            Ok(items?.join("\n"))
        }
        _ => Err(Error::other(rest.to_owned())),
    }
}

fn bulk(input: &mut impl Read, length: usize) -> Result<String, Error> {
    let mut bytes = vec![0; length + 2];
    input.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn length(text: &str) -> Result<usize, Error> {
    text.parse().map_err(Error::other)
}
