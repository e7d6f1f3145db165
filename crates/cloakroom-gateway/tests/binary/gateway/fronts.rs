//! Real proxies, each with its configuration from `deploy/`, between a client and a service.
//!
//! Also used by the unit tests of forward-auth, in front of endpoints that answer as they are told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a proxy may take to start, and to answer.
const BOUND: Duration = Duration::from_secs(60);
/// How often an event is looked for.
const EVERY: Duration = Duration::from_millis(20);
/// What `deploy/` says of where things are.
const GATEWAY: &str = "127.0.0.1:8080";
const SERVICE: &str = "127.0.0.1:3000";

/// A proxy that `deploy/` has a configuration for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Front {
    Nginx,
    Traefik,
    Caddy,
    Envoy,
    Haproxy,
}

/// A proxy that runs; it ends with this.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    child: Child,
    guard: Child,
    place: TempDir,
}

impl Front {
    /// Starts the proxy in front of a service, to ask a gateway.
    pub(crate) fn start(self, gateway: SocketAddr, service: SocketAddr) -> Running {
        let place = tempfile::tempdir().unwrap();
        let addr = free_addr();
        let lay = Lay { place: place.path(), addr, gateway, service };
        let mut command = self.command(&lay);
        let output = fs::File::create(place.path().join("output")).unwrap();
        let child = command
            .current_dir(place.path())
            .env("PATH", path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| match error.kind() {
                ErrorKind::NotFound => {
                    panic!("{self:?} is not installed on this machine; scripts/test installs it")
                }
                _ => panic!("{self:?} does not start: {error}"),
            });
        let guard = guard(child.id());
        let mut running = Running { addr, child, guard, place };
        running.wait_until_it_listens();
        // Traefik listens before it knows what to do.
        running.wait_until("the gateway's pages are there", |running| {
            running.send("GET", "/.cloakroom/login", &[]).status != 404
        });
        running
    }

    fn command(self, lay: &Lay<'_>) -> Command {
        match self {
            Self::Nginx => lay.nginx(),
            Self::Traefik => {
                lay.write("traefik/cloakroom.yml", &[]);
                let addr = format!("\"{}\"", lay.addr);
                lay.write("traefik/traefik.yml", &[("\":80\"", &addr)]);
                command("traefik", &["--configFile=traefik.yml"])
            }
            Self::Caddy => {
                let addr = format!("\nhttp://{} {{", lay.addr);
                lay.write("caddy/Caddyfile", &[("\n:80 {", &addr)]);
                let mut command = command("caddy", &["run", "--config", "Caddyfile"]);
                let place = lay.place;
                command
                    .env("HOME", place)
                    .env("XDG_DATA_HOME", place)
                    .env("XDG_CONFIG_HOME", place);
                command.env("CADDY_ADMIN", format!("unix/{}", place.join("admin").display()));
                command
            }
            Self::Envoy => {
                let address = |addr: SocketAddr| format!("127.0.0.1, port_value: {} ", addr.port());
                lay.write(
                    "envoy/envoy.yaml",
                    &[
                        ("0.0.0.0, port_value: 80 ", &address(lay.addr)),
                        ("127.0.0.1, port_value: 8080 ", &address(lay.gateway)),
                        ("127.0.0.1, port_value: 3000 ", &address(lay.service)),
                    ],
                );
                let options = ["-c", "envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1"];
                command("envoy", &options)
            }
            Self::Haproxy => {
                lay.write("haproxy/cloakroom.lua", &[]);
                let bind = format!("bind {}", lay.addr);
                lay.write("haproxy/haproxy.cfg", &[("bind :80", &bind)]);
                command("haproxy", &["-f", "haproxy.cfg"])
            }
        }
    }
}

/// Where everything is.
struct Lay<'a> {
    place: &'a Path,
    addr: SocketAddr,
    gateway: SocketAddr,
    service: SocketAddr,
}

impl Lay<'_> {
    /// A file of `deploy/`, with the addresses of this test. Each of `replaced` has to be in it.
    fn text(&self, file: &str, replaced: &[(&str, &str)]) -> String {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
        let mut text = fs::read_to_string(deploy.join(file)).unwrap();
        for (from, to) in replaced {
            assert!(text.contains(from), "{file} has no {from:?} any more");
            text = text.replace(from, to);
        }
        text.replace(GATEWAY, &self.gateway.to_string()).replace(SERVICE, &self.service.to_string())
    }

    fn write(&self, file: &str, replaced: &[(&str, &str)]) {
        let name = Path::new(file).file_name().unwrap();
        fs::write(self.place.join(name), self.text(file, replaced)).unwrap();
    }

    /// nginx reads the file inside of a configuration that Debian's package has, and that has no paths
    /// of a user who may not write.
    fn nginx(&self) -> Command {
        let listen = format!("listen {};", self.addr);
        let servers = self.text("nginx/cloakroom.conf", &[("listen 80;", &listen)]);
        let place = self.place.display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|what| format!("{what}_temp_path {place}/{what};")).concat();
        let whole = format!(
            "daemon off; pid {place}/pid; error_log stderr; events {{}}\n\
             http {{ access_log off; {temporary}\n{servers}\n}}\n"
        );
        fs::write(self.place.join("nginx.conf"), whole).unwrap();
        let config = self.place.join("nginx.conf");
        let mut command = command("nginx", &["-e", "stderr", "-p"]);
        command.arg(self.place).arg("-c").arg(config);
        command
    }
}

impl Running {
    fn wait_until_it_listens(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(self.addr).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it has ended: {}", self.output());
            assert!(begun.elapsed() < BOUND, "it does not listen: {}", self.output());
            thread::sleep(EVERY);
        }
    }

    fn wait_until(&self, what: &str, happened: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !happened(self) {
            assert!(begun.elapsed() < BOUND, "waited in vain: {what}: {}", self.output());
            thread::sleep(EVERY);
        }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.place.path().join("output")).unwrap_or_default()
    }

    /// Sends a request as it is written here.
    pub(crate) fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send_with(method, target, headers, "")
    }

    /// The same with a body.
    pub(crate) fn send_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.addr);
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("Connection: close\r\n\r\n");
        request.push_str(body);
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer);
        Answer::parse(&text).unwrap_or_else(|| panic!("{target}: {text:?}: {}", self.output()))
    }

    /// Sends a request whose lines are all written here but for the host's, and reads the head of its
    /// answer; the connection may stay open behind it.
    pub(crate) fn exchange(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let (first, others) = request.split_once("\r\n").unwrap();
        write!(stream, "{first}\r\nHost: {}\r\n{others}", self.addr).unwrap();
        let head = lines(&mut BufReader::new(stream));
        let head = head.unwrap_or_else(|| panic!("{request:?} has no answer: {}", self.output()));
        Answer::parse(&format!("{head}\r\n")).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first, so that those with children of their own can end them.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(5)
        {
            thread::sleep(EVERY);
        }
        for child in [&mut self.guard, &mut self.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Self { status, headers: lines.filter_map(header).collect(), body: body.to_owned() })
    }

    /// The first header of this name; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// What a browser would return of the cookies that are set.
    pub(crate) fn cookies(&self) -> String {
        let set = self.headers.iter().filter(|(name, _)| name == "set-cookie");
        let pairs = set.filter_map(|(_, value)| value.split(';').next());
        pairs.collect::<Vec<_>>().join("; ")
    }
}

/// A service that remembers the heads of the requests that have reached it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Service {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || answer(stream, &kept));
            }
        });
        Self { addr, heads }
    }

    /// The heads that have come since this was asked last: the request line and the headers, by lines,
    /// names in lower case.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.heads.lock().unwrap()).iter().map(|head| Seen::of(head)).collect()
    }
}

/// A request as a service has seen it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Seen {
    fn of(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Self { line, headers: lines.filter_map(header).collect() }
    }

    /// The values of all headers that some service takes for this one.
    pub(crate) fn taken_for(&self, name: &str) -> Vec<&str> {
        let same = |other: &str| other.replace(['_', '.'], "-") == name;
        let found = self.headers.iter().filter(|(other, _)| same(other));
        found.map(|(_, value)| value.as_str()).collect()
    }
}

/// Answers every request of a connection, and goes on with it after an upgrade as if there were none.
/// To WebSocket, it upgrades those that have the key of RFC 6455's example.
fn answer(mut stream: TcpStream, heads: &Mutex<Vec<String>>) {
    let Ok(reading) = stream.try_clone() else { return };
    let mut reader = BufReader::new(reading);
    while let Some(head) = request(&mut reader) {
        let upgrade = Seen::of(&head).taken_for("upgrade").join(", ");
        heads.lock().unwrap().push(head);
        let answer = match upgrade.as_str() {
            "" => "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nservice".to_owned(),
            _ => {
                let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
                let headers = format!("Upgrade: {upgrade}\r\nSec-WebSocket-Accept: {accept}");
                format!("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n{headers}\r\n\r\n")
            }
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Reads a request. Returns its head, and its trailers as if they were of it: some services do so.
fn request(reader: &mut impl BufRead) -> Option<String> {
    let mut head = lines(reader)?;
    let seen = Seen::of(&head);
    let length = seen.taken_for("content-length").first().and_then(|length| length.parse().ok());
    let chunked = !seen.taken_for("transfer-encoding").is_empty();
    skip(reader, length.unwrap_or(0))?;
    if chunked {
        loop {
            let size = u64::from_str_radix(&line(reader)?, 16).ok()?;
            if size == 0 {
                break;
            }
            skip(reader, size + 2)?;
        }
        head.push_str(&lines(reader)?);
    }
    Some(head)
}

/// The lines until one is empty.
fn lines(reader: &mut impl BufRead) -> Option<String> {
    let mut lines = String::new();
    loop {
        match line(reader)?.as_str() {
            "" => return Some(lines),
            line => lines.extend([line, "\r\n"]),
        }
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok().filter(|read| *read > 0)?;
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn skip(reader: &mut impl BufRead, bytes: u64) -> Option<()> {
    let skipped = std::io::copy(&mut reader.take(bytes), &mut std::io::sink()).ok()?;
    (skipped == bytes).then_some(())
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// A port that is free now.
fn free_addr() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Where programs are looked for: also where Debian has those of the administrator, and last where
/// `scripts/test` installs those that are no Debian packages.
fn path() -> String {
    let installed: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "../../target/servers/bin"].iter().collect();
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:{}", installed.display())
}

/// Ends a process when this one ends without doing so.
fn guard(process: u32) -> Child {
    Command::new("sh")
        .args(["-c", "cat >/dev/null; kill \"$1\"", "guard", &process.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
