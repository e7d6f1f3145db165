//! A server of one process: started on a port of its own, killed, started again and stopped.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use super::process::{Process, blocking, free_addr, wait_until};

/// How many ports are tried before a server that does not start is given up.
const PORTS_TRIED: usize = 10;

/// What a server runs, and how it is known to answer.
pub trait Kind: Clone + Debug + Send + Sized + 'static {
    /// The program's name.
    fn name(&self) -> &'static str;

    /// Where it keeps what it writes.
    ///
    /// # Errors
    ///
    /// Where no directory can be made.
    fn directory(&self) -> io::Result<TempDir> {
        TempDir::new()
    }

    /// Does what has to be done in the directory before it is started for the first time.
    fn prepare(&mut self, _directory: &Path) {}

    /// Starts the process.
    fn spawn(&self, addr: SocketAddr, directory: &Path) -> Process;

    /// Whether it is this process that answers at its address.
    fn answers(&self, addr: SocketAddr, directory: &Path, process: &Process) -> bool;

    /// Waits for what is left of it after it was killed.
    fn killed(&self, _directory: &Path) {}

    /// Has it end with the test.
    fn end(&self, process: Process) {
        drop(process);
    }
}

/// A server on 127.0.0.1 with a directory of its own.
#[derive(Debug)]
pub struct Server<K: Kind> {
    pub(super) addr: SocketAddr,
    /// `None` between a kill and a restart. Dropped before the directory that it writes to.
    process: Option<Process>,
    pub(super) directory: TempDir,
    pub(super) kind: K,
}

impl<K: Kind> Server<K> {
    /// Starts a server, and returns when it answers. Panics where its program is missing.
    pub(super) fn begin(kind: &K) -> Self {
        for _ in 0..PORTS_TRIED {
            let mut kind = kind.clone();
            let directory = kind.directory().expect("a temporary directory");
            kind.prepare(directory.path());
            let mut server = Self { addr: free_addr(), process: None, directory, kind };
            if server.launch() {
                return server;
            }
        }
        panic!("{} ended {PORTS_TRIED} times before it answered", kind.name());
    }

    /// Spawns the server and waits for its answer; `false` where it ends instead, which is what it
    /// does when its port is taken.
    fn launch(&mut self) -> bool {
        let directory = self.directory.path();
        let mut process = self.kind.spawn(self.addr, directory);
        wait_until(&format!("{} answers", self.kind.name()), || {
            process.has_ended() || self.kind.answers(self.addr, directory, &process)
        });
        // Whoever has taken its port may have answered in its place.
        self.process = (!process.has_ended()).then_some(process);
        self.is_running()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Whether it has not been killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Kills it at once, without a chance to write anything.
    pub fn kill(&mut self) {
        if self.process.take().is_some() {
            self.kind.killed(self.directory.path());
        }
    }

    /// Kills it where it still runs, and starts it again on the same port, with what it had
    /// written to its directory.
    pub async fn restart(self) -> Self {
        blocking(move || {
            let mut server = self;
            server.relaunch();
            server
        })
        .await
    }

    pub(super) fn relaunch(&mut self) {
        self.kill();
        wait_until("a server has its port back", || self.launch());
    }

    /// Stops it where it stands: connections stay open, nothing is answered. Of a PostgreSQL, this
    /// is the parent: nobody new is let in.
    pub fn pause(&self) {
        self.running().pause();
    }

    /// Lets it go on after [`Server::pause`].
    pub fn resume(&self) {
        self.running().resume();
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server was killed")
    }
}

impl<K: Kind> Drop for Server<K> {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.kind.end(process);
        }
    }
}
