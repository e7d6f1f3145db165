//! A real NATS server with JetStream, and three of them as a cluster.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::certificates::Certificates;
use super::process::{BOUND, Process, blocking, free_addr, wait_until};
use super::server::{Kind, Server};

/// The oldest server that is tested with.
const OLDEST: (u32, u32) = (2, 11);
/// How long one question may take: a cluster that has no leader yet answers nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Who signs in where a server asks for it.
const USER: &str = "app";

/// A `nats-server` on 127.0.0.1 with a directory of its own.
pub type Nats = Server<Plan>;

/// What a server is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What its name begins with.
    prefix: String,
    arguments: Vec<String>,
    password: Option<String>,
}

impl Plan {
    fn new(prefix: &str, arguments: Vec<String>) -> Self {
        Self { prefix: prefix.to_owned(), arguments, password: None }
    }

    /// What the server at `addr` calls itself.
    fn name_at(&self, addr: SocketAddr) -> String {
        format!("{}-{}-{}", self.prefix, std::process::id(), addr.port())
    }
}

impl Kind for Plan {
    fn name(&self) -> &'static str {
        "nats-server"
    }

    fn spawn(&self, addr: SocketAddr, directory: &Path) -> Process {
        let mut command = Command::new(self.name());
        command
            .args(["--addr", "127.0.0.1", "--port"])
            .arg(addr.port().to_string())
            .args(["--server_name", &self.name_at(addr), "--jetstream", "--store_dir"])
            .arg(directory)
            .args(&self.arguments);
        Process::spawn(&mut command, directory)
    }

    fn answers(&self, addr: SocketAddr, _directory: &Path, _process: &Process) -> bool {
        let greeting = greeting(addr).unwrap_or_default();
        let is_ours = greeting["server_name"] == *self.name_at(addr);
        let version = greeting["version"].as_str().unwrap_or_default();
        assert!(
            !is_ours || is_new(version),
            "nats-server {version} is too old; scripts/test installs a newer one"
        );
        is_ours
    }
}

impl Nats {
    /// Starts a server, and returns when it answers. Panics where `nats-server` is missing or too
    /// old.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with arguments of the caller's own.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Self::start_planned(Plan::new("alone", arguments)).await
    }

    /// Starts a server that asks for a password, from a user by the name of `app`.
    pub async fn start_with_password(password: &str) -> Self {
        let arguments = ["--user", USER, "--pass", password].map(ToOwned::to_owned);
        let plan = Plan::new("alone", arguments.to_vec());
        Self::start_planned(Plan { password: Some(password.to_owned()), ..plan }).await
    }

    /// Starts a server that speaks TLS and asks for a client's certificate.
    pub async fn start_secured(certificates: &Certificates) -> Self {
        Self::start_planned(Plan::new("alone", certificates.of_nats().to_vec())).await
    }

    async fn start_planned(plan: Plan) -> Self {
        blocking(move || Self::begin(&plan)).await
    }

    /// Where it listens, as a client is told.
    pub fn url(&self) -> String {
        match &self.kind.password {
            Some(password) => format!("nats://{USER}:{password}@{}", self.addr),
            None => format!("nats://{}", self.addr),
        }
    }

    /// Asks JetStream something on a connection of its own. Panics where there is no answer.
    pub fn ask(&self, subject: &str, question: &Value) -> Value {
        self.try_ask(subject, question)
            .unwrap_or_else(|error| panic!("nats-server does not answer {subject}: {error}"))
    }

    fn try_ask(&self, subject: &str, question: &Value) -> Result<Value, Error> {
        let user = self.kind.password.as_ref().map(|password| (USER, password.as_str()));
        ask(self.addr, user, &format!("$JS.API.{subject}"), question)
    }
}

/// Three servers that keep a bucket together.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<Nats>,
}

impl NatsCluster {
    /// Starts three servers, and returns when a stream can have three replicas.
    pub async fn start() -> Self {
        blocking(Self::start_now).await
    }

    fn start_now() -> Self {
        let routes: Vec<String> = (0..3).map(|_| format!("nats://{}", free_addr())).collect();
        let all = routes.join(",");
        let node = |(at, route): (usize, &String)| {
            let words = ["--cluster_name", "cloakroom", "--cluster", route, "--routes", &all];
            Nats::begin(&Plan::new(&format!("n{at}"), words.map(ToOwned::to_owned).to_vec()))
        };
        let cluster = Self { nodes: routes.iter().enumerate().map(node).collect() };
        cluster.wait_for_all();
        cluster
    }

    /// Waits until a stream can be made that all three keep.
    fn wait_for_all(&self) {
        let config = json!({
            "name": "ready", "subjects": ["ready"], "storage": "memory", "num_replicas": 3,
        });
        let done = |answer: Result<Value, Error>| answer.is_ok_and(|it| it["error"].is_null());
        wait_until("the NATS cluster is there", || {
            done(self.nodes[0].try_ask("STREAM.CREATE.ready", &config))
        });
        wait_until("the NATS cluster is ready", || {
            done(self.nodes[0].try_ask("STREAM.DELETE.ready", &json!({})))
        });
    }

    /// Where they listen, as a client is told.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| node.addr.to_string()).collect();
        format!("nats://{}", hosts.join(","))
    }

    /// One of the servers.
    pub fn node(&self, at: usize) -> &Nats {
        &self.nodes[at]
    }

    /// Which server leads a stream. Waits until one does.
    pub fn leader(&self, stream: &str) -> usize {
        let mut leader = None;
        wait_until("the stream has a leader", || {
            for node in self.nodes.iter().filter(|node| node.is_running()) {
                let answer = node.try_ask(&format!("STREAM.INFO.{stream}"), &json!({}));
                let name = answer.map(|it| it["cluster"]["leader"].clone()).unwrap_or_default();
                leader = self.nodes.iter().position(|node| name == *node.kind.name_at(node.addr));
                if leader.is_some_and(|at| self.nodes[at].is_running()) {
                    return true;
                }
            }
            false
        });
        leader.expect("it was found")
    }

    /// Kills a server at once.
    pub fn kill(&mut self, at: usize) {
        self.nodes[at].kill();
    }

    /// Starts a server again that was killed, with what it had written.
    pub async fn restart(self, at: usize) -> Self {
        blocking(move || {
            let mut cluster = self;
            cluster.nodes[at].relaunch();
            cluster
        })
        .await
    }
}

fn is_new(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= OLDEST)
}

/// What a server says first.
fn greeting(addr: SocketAddr) -> Result<Value, Error> {
    let stream = TcpStream::connect_timeout(&addr, BOUND)?;
    stream.set_read_timeout(Some(BOUND))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let info = line.strip_prefix("INFO ").ok_or(ErrorKind::InvalidData)?;
    serde_json::from_str(info).map_err(Error::other)
}

/// Sends one request, and returns the answer; an error where there is none.
fn ask(
    addr: SocketAddr,
    user: Option<(&str, &str)>,
    subject: &str,
    question: &Value,
) -> Result<Value, Error> {
    let mut stream = TcpStream::connect_timeout(&addr, BOUND)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut connect = json!({ "verbose": false, "headers": true, "no_responders": true });
    if let Some((name, password)) = user {
        connect["user"] = name.into();
        connect["pass"] = password.into();
    }
    let question = if question.is_null() { String::new() } else { question.to_string() };
    let length = question.len();
    write!(
        stream,
        "CONNECT {connect}\r\nSUB answers 1\r\nPUB {subject} answers {length}\r\n{question}\r\n"
    )?;
    let mut input = BufReader::new(&stream);
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let length = |text: &str| text.parse::<usize>().map_err(Error::other);
        match words.as_slice() {
            ["PING"] => (&stream).write_all(b"PONG\r\n")?,
            ["MSG", .., bytes] => {
                let mut answer = vec![0; length(bytes)?];
                input.read_exact(&mut answer)?;
                return serde_json::from_slice(&answer).map_err(Error::other);
            }
            // Only that nobody takes the request has a header.
            ["HMSG", ..] => return Err(ErrorKind::NotConnected.into()),
            ["-ERR", ..] => return Err(Error::other(line)),
            _ => {}
        }
    }
}
