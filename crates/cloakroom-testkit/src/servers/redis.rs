//! A real Redis or Valkey server.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use tempfile::TempDir;

use super::certificates::Certificates;
use super::process::{BOUND, Process, free_addr, wait_until};

/// How many ports are tried before a server that does not start is given up.
const PORTS_TRIED: usize = 10;

/// A `redis-server` on 127.0.0.1 with a directory of its own, which it appends every write to.
#[derive(Debug)]
pub struct Redis {
    addr: SocketAddr,
    /// `None` between a kill and a restart. Dropped before the directory that it writes to.
    process: Option<Process>,
    directory: TempDir,
    plan: Plan,
    /// A second port: for TLS, or for the other nodes of a cluster.
    second: SocketAddr,
}

/// What a server is to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) role: Role,
    pub(super) arguments: Vec<String>,
    /// The password of its default user.
    pub(super) password: Option<String>,
    /// Whether it is Valkey, which speaks the same.
    pub(super) valkey: bool,
}

impl Plan {
    fn program(&self) -> &'static str {
        if self.valkey { "valkey-server" } else { "redis-server" }
    }
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

impl Redis {
    /// Starts a server, and returns when it answers. Panics where `redis-server` is missing.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with arguments of the caller's own, such as `--maxmemory-policy`.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        blocking(move || Self::start_now(&Plan { arguments, ..Plan::default() })).await
    }

    /// Starts a Valkey server. Panics where `valkey-server` is missing.
    pub async fn start_valkey() -> Self {
        blocking(|| Self::start_now(&Plan { valkey: true, ..Plan::default() })).await
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
        blocking(move || Self::start_now(&plan)).await
    }

    pub(super) fn start_now(plan: &Plan) -> Self {
        for _ in 0..PORTS_TRIED {
            let mut redis = Self {
                addr: free_addr(),
                directory: TempDir::new().expect("a temporary directory"),
                plan: plan.clone(),
                second: free_addr(),
                process: None,
            };
            if redis.launch() {
                return redis;
            }
        }
        panic!("redis-server ended {PORTS_TRIED} times before it answered");
    }

    /// Spawns the server and waits for its answer; `false` where it ends instead, which is what
    /// it does when its port is taken.
    fn launch(&mut self) -> bool {
        let mut command = Command::new(self.plan.program());
        if let Role::Sentinel(configuration) = &self.plan.role {
            let file = self.directory.path().join("sentinel.conf");
            std::fs::write(&file, configuration).expect("a configuration is written");
            command.arg(file).arg("--sentinel");
        }
        command
            .args(["--bind", "127.0.0.1", "--port"])
            .arg(self.addr.port().to_string())
            .arg("--dir")
            .arg(self.directory.path())
            .args(self.of_role())
            .args(&self.plan.arguments);
        if let Some(password) = &self.plan.password {
            command.args(["--requirepass", password, "--masterauth", password]);
        }
        let mut process = Process::spawn(&mut command, self.directory.path());
        let own = format!("process_id:{}\r", process.id());
        let mut ended = false;
        wait_until("redis-server answers", || {
            ended = process.has_ended();
            // Only this very process will do: another server may have come to the port first.
            let is_ours = || self.ask(&["INFO", "server"]).is_ok_and(|info| info.contains(&own));
            // It tells who it is while it still loads what it had written.
            ended || is_ours() && self.ask(&["PING"]).is_ok_and(|answer| answer == "PONG")
        });
        self.process = (!ended).then_some(process);
        !ended
    }

    /// The arguments that come of what it is.
    fn of_role(&self) -> Vec<String> {
        let second = self.second.port().to_string();
        let words: &[&str] = match self.plan.role {
            Role::Sentinel(_) => return Vec::new(),
            Role::Alone => &[],
            Role::Secured => &["--tls-port", &second],
            Role::Node => &["--cluster-enabled", "yes", "--cluster-port", &second],
        };
        let always = ["--save", "", "--appendonly", "yes", "--enable-debug-command", "yes"];
        always.iter().chain(words).map(ToString::to_string).collect()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens, as a client is told.
    pub fn url(&self) -> String {
        match &self.plan.password {
            Some(password) => format!("redis://:{password}@{}", self.addr),
            None => format!("redis://{}", self.addr),
        }
    }

    /// Where it listens for TLS, or for the other nodes of its cluster.
    pub fn second_addr(&self) -> SocketAddr {
        self.second
    }

    /// Whether it has not been killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Kills it at once, without a chance to write anything.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Kills it where it still runs, and starts it again on the same port, with what it had
    /// written to its directory.
    pub async fn restart(self) -> Self {
        blocking(move || {
            let mut redis = self;
            redis.kill();
            wait_until("redis-server has its port back", || redis.launch());
            redis
        })
        .await
    }

    /// Stops it where it stands: connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.running().pause();
    }

    /// Lets it go on after [`Redis::pause`].
    pub fn resume(&self) {
        self.running().resume();
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server was killed")
    }

    /// Sends one command on a connection of its own, and returns the answer as text: the items of
    /// an array a line each, nil as `(nil)`. Panics on an error.
    pub fn command(&self, words: &[&str]) -> String {
        self.ask(words).unwrap_or_else(|error| panic!("redis-server refuses {words:?}: {error}"))
    }

    fn ask(&self, words: &[&str]) -> Result<String, Error> {
        ask(self.addr, self.plan.password.as_deref(), words)
    }
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

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
