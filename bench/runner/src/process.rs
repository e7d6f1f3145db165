//! Starts processes on a core of their own, and ends them whatever happens.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long a server may take until it listens. A JVM on a busy machine takes its time.
const START: Duration = Duration::from_secs(60);
/// How long a killed process is waited for.
const REAP: Duration = Duration::from_secs(2);
/// How often is looked whether it does.
const LOOK: Duration = Duration::from_millis(50);

/// Where a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    /// The core of the app that is measured.
    Server,
    /// The core of Redis and of whatever makes the load.
    Load,
}

impl Core {
    /// The core's number.
    pub(crate) fn number(self) -> &'static str {
        match self {
            Self::Server => "0",
            Self::Load => "1",
        }
    }
}

/// A command that runs on one core, and that ends with the runner even where the runner is killed.
pub(crate) fn pinned(core: Core, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "--cpu-list", core.number()]);
    command.arg(program);
    command
}

/// How often threads are moved to a core, where one ends meanwhile.
const MOST_PINNINGS: usize = 5;

/// Keeps this process, and by inheritance all that it starts, on one core.
///
/// # Errors
///
/// Where the machine has no such core.
pub(crate) fn stay_on(core: Core) -> io::Result<()> {
    let pid = std::process::id().to_string();
    let mut said = String::new();
    for _ in 0..MOST_PINNINGS {
        let output = std::process::Command::new("taskset")
            .args(["-a", "-c", "-p", core.number(), &pid])
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        said = String::from_utf8_lossy(&output.stderr).into_owned();
        // A thread has ended between being listed and being moved.
        if !said.contains("No such process") {
            break;
        }
    }
    let reason = format!("two cores are needed, one for the server and one for the load: {said}");
    Err(io::Error::other(reason))
}

/// A port of the loopback address that nobody listens at.
///
/// # Errors
///
/// Where there is none.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A process that listens at a port. It is ended, with all that it has started, when dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    child: Child,
    /// The process, and its group.
    pub(crate) pid: u32,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Listening {
    /// Starts `command` and waits until it listens. What it writes goes into `log`.
    ///
    /// # Errors
    ///
    /// Where it does not start, ends, or does not listen in time; with what it has written.
    pub(crate) async fn start(mut command: Command, port: u16, log: PathBuf) -> io::Result<Self> {
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("it ended at once"))?;
        let group = Group(pid);
        let ready = wait(&mut child, port).await;
        ready.map_err(|error| io::Error::other(format!("{error}: {}", tail(&log))))?;
        std::mem::forget(group);
        Ok(Self { child, pid, port })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(Group(self.pid));
        let began = Instant::now();
        // Until it is waited for, a dead process keeps its entry in the kernel.
        while began.elapsed() < REAP && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Kills a process group when dropped.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let group = i32::try_from(self.0).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn wait(child: &mut Child, port: u16) -> io::Result<()> {
    let began = Instant::now();
    while began.elapsed() < START {
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("it has ended with {status}")));
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(io::Error::other("it does not listen"))
}

/// The end of what a process has written.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let from = text.lines().count().saturating_sub(20);
    text.lines().skip(from).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_ends_is_told_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such option; exit 3"]);
        let port = free_port().unwrap();
        let error = Listening::start(command, port, folder.path().join("log")).await.unwrap_err();
        assert!(error.to_string().contains("no such option"), "{error}");
    }
}
