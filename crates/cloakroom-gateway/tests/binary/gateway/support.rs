//! Starts gateways on free ports, and asks them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{BOUND, command, free_port, lines, signal};

/// The first line that a gateway says once it serves.
const STARTED: &str = "Ctrl-C ends it.";

/// A gateway that runs. Its process is killed when this is dropped.
pub(crate) struct Gateway {
    process: Child,
    output: Receiver<String>,
    /// What it said at the start.
    pub(crate) greeting: String,
    pub(crate) port: u16,
    /// Where its file and its databases are.
    pub(crate) dir: TempDir,
}

impl Gateway {
    /// Starts one with this configuration, to which it adds where to listen, a store in an SQLite
    /// file unless there is one, and cookies over plain HTTP.
    pub(crate) fn start(config: &str) -> Self {
        let dir = TempDir::new().expect("a directory");
        let port = free_port();
        fs::write(dir.path().join("cloakroom.toml"), whole(config, port)).expect("a file");
        Self::run(dir, port, &[])
    }

    /// Starts one as [`Gateway::start`] does, by a command that `adapt` has changed.
    pub(crate) fn start_as(config: &str, adapt: impl FnOnce(Command) -> Command) -> Self {
        let dir = TempDir::new().expect("a directory");
        let port = free_port();
        fs::write(dir.path().join("cloakroom.toml"), whole(config, port)).expect("a file");
        let mut command = adapt(command(dir.path()));
        Self::spawn(command.arg("run"), dir, port)
    }

    /// Starts one that writes its log to a file, with more than warnings.
    pub(crate) fn start_logged(config: &str) -> Self {
        Self::start_as(config, |mut command| {
            let log = command.get_current_dir().expect("it has one").join("log");
            command.env("RUST_LOG", "info").stderr(fs::File::create(log).expect("a file"));
            command
        })
    }

    /// What is in that log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).expect("a log")
    }

    /// Starts one in `dir`, which has a file, and which it listens as says `port`.
    pub(crate) fn run(dir: TempDir, port: u16, arguments: &[&str]) -> Self {
        Self::spawn(command(dir.path()).arg("run").args(arguments), dir, port)
    }

    fn spawn(command: &mut Command, dir: TempDir, port: u16) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the binary starts");
        let output = lines(process.stdout.take().expect("a pipe"));
        let mut gateway = Self { process, output, greeting: String::new(), port, dir };
        gateway.greeting = gateway.read_until(STARTED);
        gateway
    }

    /// What it says up to a line that has `mark` in it.
    pub(crate) fn read_until(&self, mark: &str) -> String {
        let mut said = String::new();
        while !said.contains(mark) {
            match self.output.recv_timeout(BOUND) {
                Ok(line) => said += &format!("{line}\n"),
                Err(_) => panic!("the gateway does not say {mark:?}, but: {said}"),
            }
        }
        said
    }

    /// The address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Its file.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("cloakroom.toml")
    }

    /// Writes its file anew, with the same port.
    pub(crate) fn rewrite(&self, config: &str) {
        let beside = self.dir.path().join("new.toml");
        fs::write(&beside, whole(config, self.port)).expect("a file");
        fs::rename(beside, self.file()).expect("a file in the other's place");
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to end, and waits for it.
    pub(crate) fn stop(mut self) -> ExitStatus {
        signal(self.id(), Signal::TERM);
        self.process.wait().expect("the gateway ends")
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Adds a user to its database.
    pub(crate) fn add_user(&self, name: &str, password: &str, roles: &[&str]) {
        add_user(self.dir.path(), name, password, roles);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A file's text with what every test's has.
pub(crate) fn whole(config: &str, port: u16) -> String {
    let mut text = String::new();
    if !config.contains("[store]") {
        text += "[store]\nurl = \"sqlite://sessions.db\"\n";
    }
    if !config.contains("[session") {
        text += "[session.cookie]\ninsecure_plain_http = true\n";
    }
    if !config.contains("[listen]") {
        text += &format!("[listen]\naddress = \"127.0.0.1:{port}\"\n");
    }
    text + config
}

/// One service called `shop`, and rules for it: each a path, and who may pass.
pub(crate) fn shop(url: &str, rules: &[(&str, &str)]) -> String {
    let mut text = format!("[[upstream]]\nname = \"shop\"\nservers = [\"{url}\"]\n");
    for (path, access) in rules {
        text +=
            &format!("[[rule]]\npath = \"{path}\"\naccess = \"{access}\"\nupstream = \"shop\"\n");
    }
    text
}

/// Adds a user by the command line, as an administrator does.
pub(crate) fn add_user(dir: &Path, name: &str, password: &str, roles: &[&str]) {
    use std::io::Write;

    let roles = roles.iter().flat_map(|role| ["--role", role]);
    let mut process = command(dir)
        .args(["users", "add", name])
        .args(roles)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut input = process.stdin.take().expect("a pipe");
    writeln!(input, "{password}").expect("it reads");
    drop(input);
    assert!(process.wait().expect("it ends").success());
}

/// A client with cookies of its own, that follows no redirect.
pub(crate) fn browser() -> Client {
    let builder = Client::builder().cookie_store(true).timeout(BOUND).redirect(Policy::none());
    builder.build().expect("a client")
}

/// Signs somebody in as a page's script does.
pub(crate) async fn log_in(client: &Client, gateway: &Gateway, name: &str, password: &str) {
    let answer = client
        .post(gateway.url("/.cloakroom/api/login"))
        .json(&json!({ "username": name, "password": password }))
        .send()
        .await
        .expect("the gateway answers");
    let status = answer.status();
    assert_eq!(status, StatusCode::OK, "{}", answer.text().await.unwrap_or_default());
}

/// What the service behind the gateway was asked, by this path.
pub(crate) async fn told(client: &Client, gateway: &Gateway, path: &str) -> Value {
    let answer = client.get(gateway.url(path)).send().await.expect("the gateway answers");
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.expect("JSON")
}
