//! A server's process: found a free port for, waited for, and killed however the test ends.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take to start, to stop, and to answer.
pub(super) const BOUND: Duration = Duration::from_secs(30);
/// How often an event is looked for.
const EVERY: Duration = Duration::from_millis(5);
/// Ports to try; below those that Linux gives to outgoing connections, so that nobody takes a
/// server's port by chance while it restarts.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port of 127.0.0.1 that is free now. Somebody else may take it before it is used: try again.
pub(super) fn free_addr() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let width = PORTS.end - PORTS.start;
    let own = u16::try_from(std::process::id() * 97 % u32::from(width)).unwrap_or(0);
    for _ in 0..width {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + (own.wrapping_add(step)) % width;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(addr).is_ok() {
            return addr;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// Where programs are looked for: last in the directory that `scripts/test` installs those into that
/// are no Debian packages.
pub(super) fn path() -> String {
    const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:{INSTALLED}")
}

/// Waits until `happened` says so. Panics with `what` where it does not in [`BOUND`].
pub(super) fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < BOUND, "waited in vain: {what}");
        thread::sleep(EVERY);
    }
}

/// A child process. It is killed when this is dropped, and also when the test's own process dies
/// without dropping it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    guard: Child,
}

impl Process {
    /// Starts `command`, which works in `directory`. Panics where the program is not installed.
    pub(super) fn spawn(command: &mut Command, directory: &Path) -> Self {
        Self::spawn_ending(command, directory, "KILL")
    }

    /// Starts a command that ends by the signal of this name where the test's own process dies:
    /// one that leaves things outside of its directory when it is killed.
    pub(super) fn spawn_ending(command: &mut Command, directory: &Path, signal: &str) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .env("PATH", path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| match error.kind() {
                ErrorKind::NotFound => {
                    panic!("{program} is not installed on this machine; scripts/test installs it")
                }
                _ => panic!("{program} does not start: {error}"),
            });
        let guard = guard(child.id(), directory, signal);
        Self { child, guard }
    }

    /// The process's id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().map_or(true, |status| status.is_some())
    }

    /// Stops it where it stands: it keeps its connections and answers nothing.
    pub(super) fn pause(&self) {
        self.signal("STOP");
        wait_until("the server pauses", || self.state() == Some('T'));
    }

    /// Lets it go on.
    pub(super) fn resume(&self) {
        self.signal("CONT");
        wait_until("the server goes on", || self.state() != Some('T'));
    }

    /// Sends it the signal of this name.
    pub(super) fn signal(&self, name: &str) {
        let done = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.id())).status();
        assert!(done.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// The letter that Linux gives the process's state.
    fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The guard goes first: once the child is reaped, its id may be somebody else's.
        for child in [&mut self.guard, &mut self.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for the end of a pipe that only this process holds, then ends `process` and removes its
/// directory, as where a test keeps its server for all tests after it.
fn guard(process: u32, directory: &Path, signal: &str) -> Child {
    let ends = "cat >/dev/null; kill -\"$3\" \"$1\"; tries=100; \
        while kill -0 \"$1\" && [ $((tries -= 1)) -gt 0 ]; do sleep 0.05; done; \
        kill -9 \"$1\"; rm -rf -- \"$2\"";
    Command::new("sh")
        .arg("-c")
        .arg(ends)
        .arg("guard")
        .arg(process.to_string())
        .arg(directory)
        .arg(signal)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts")
}

/// Does work that waits without giving way to other tasks.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
