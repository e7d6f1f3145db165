//! Starts the demo on free ports, reads what it says, and asks its nodes.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// How long anything may take. It is long because machines are busy; nothing waits for its end.
pub(crate) const BOUND: Duration = Duration::from_secs(60);
/// The last line of what the demo says once both nodes answer.
const STARTED: &str = "Ctrl-C ends the demo.";

/// A demo that runs. Its process is killed when this is dropped, and its nodes end with it.
pub(crate) struct Demo {
    process: Child,
    output: Receiver<String>,
    /// What it said at the start.
    pub(crate) greeting: String,
    /// The nodes'.
    pub(crate) ports: [u16; 2],
    /// The gateway's.
    pub(crate) front: u16,
}

impl Demo {
    /// Starts it in the directory `dir`, and returns once both nodes answer.
    pub(crate) fn start(dir: &Path, arguments: &[&str]) -> Self {
        Self::run(&mut command(dir), arguments)
    }

    /// Starts it as `command` says, which names the directory and the environment.
    pub(crate) fn run(command: &mut Command, arguments: &[&str]) -> Self {
        let (ports, front) = ([free_port(), free_port()], free_port());
        let mut process = command
            .arg("demo")
            .args(["--port", &front.to_string()])
            .args(["--port-a", &ports[0].to_string(), "--port-b", &ports[1].to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let output = lines(process.stdout.take().expect("a pipe"));
        let mut demo = Self { process, output, greeting: String::new(), ports, front };
        demo.greeting = demo.read_until(STARTED);
        demo
    }

    /// What the demo says up to a line that has `mark` in it.
    pub(crate) fn read_until(&self, mark: &str) -> String {
        let mut said = String::new();
        while !said.contains(mark) {
            match self.output.recv_timeout(BOUND) {
                Ok(line) => said += &format!("{line}\n"),
                Err(_) => panic!("the demo does not say {mark:?}, but: {said}"),
            }
        }
        said
    }

    /// The address of a node's path: node A is 0, node B is 1.
    pub(crate) fn url(&self, node: usize, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[node])
    }

    /// The address of a path at the gateway.
    pub(crate) fn front_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.front)
    }

    /// The id of a node's process, as the demo said it at the start.
    pub(crate) fn node_id(&self, node: usize) -> u32 {
        let port = format!(":{} ", self.ports[node]);
        let line =
            self.greeting.lines().find(|line| line.contains(&port)).expect("the node's line");
        line.rsplit(' ').next().and_then(|id| id.parse().ok()).expect("the process's id")
    }

    /// The id of the demo's own process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks the demo to end, and waits for it.
    pub(crate) fn stop(mut self) -> ExitStatus {
        signal(self.id(), Signal::TERM);
        self.process.wait().expect("the demo ends")
    }

    /// Kills the demo's own process, without a word to its nodes.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The binary, run in `dir`, with an environment that says nothing.
pub(crate) fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloakroom"));
    command.current_dir(dir).stdin(Stdio::null());
    command.env_remove("CLOAKROOM_STORE").env_remove("RUST_LOG");
    command
}

/// Sends a signal.
pub(crate) fn signal(process: u32, signal: Signal) {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw).expect("an id");
    kill_process(id, signal).expect("the process is there");
}

/// A port that is free now; below those that Linux gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 12_000;
    const WIDTH: u16 = 7_000;
    let own = u16::try_from(std::process::id() * 61 % u32::from(WIDTH)).unwrap_or(0);
    (0..WIDTH)
        .map(|_| FIRST + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % WIDTH)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}

/// Whether somebody listens.
pub(crate) fn answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Waits until `happened` says so.
pub(crate) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < BOUND, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Asks until the answer is as it has to become.
pub(crate) async fn becomes<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> T,
    is_so: impl Fn(&T) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if is_so(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < BOUND, "waited in vain: {what}");
    }
}

/// The lines of a process's output, as they come.
pub(crate) fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A client with cookies of its own, as a browser has them: they know no port. It connects anew
/// each time, so that none of its connections leads to a node that was killed.
pub(crate) fn browser() -> Client {
    let builder = Client::builder().cookie_store(true).timeout(BOUND).pool_max_idle_per_host(0);
    builder.user_agent("curl/8.5.0").build().expect("a client")
}

/// Sends a request; the status and the JSON that came back.
pub(crate) async fn ask(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.expect("the node answers");
    let (status, kind) = (response.status(), response.headers().get("content-type").cloned());
    assert_eq!(kind.expect("a type"), "application/json");
    (status, response.json().await.expect("JSON"))
}

/// What `GET /api/session` answers, as it was written.
pub(crate) async fn session(client: &Client, demo: &Demo, node: usize) -> String {
    let response = client.get(demo.url(node, "/api/session")).send().await;
    response.expect("the node answers").text().await.expect("text")
}

/// Signs alice in.
pub(crate) async fn log_in(client: &Client, demo: &Demo, node: usize) {
    let credentials = json!({ "user": "alice", "password": "wonderland" });
    let (status, body) = post(client, demo, node, "/api/login", credentials).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

/// Posts JSON.
pub(crate) async fn post(
    client: &Client,
    demo: &Demo,
    node: usize,
    path: &str,
    body: Value,
) -> (StatusCode, Value) {
    ask(client.request(Method::POST, demo.url(node, path)).json(&body)).await
}

/// Counts a visit; the number that was stored.
pub(crate) async fn visit(client: &Client, demo: &Demo, node: usize) -> u64 {
    let (status, body) = ask(client.post(demo.url(node, "/api/visit"))).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["visits"].as_u64().expect("a number")
}
