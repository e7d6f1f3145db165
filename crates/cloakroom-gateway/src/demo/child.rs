//! A node that runs as a process of its own.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::settings::{Name, NodeSettings};
use crate::fault::Fault;

/// What a node writes to its standard output once it answers.
pub(crate) const READY: &str = "ready";
/// How long a node may take to answer.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How long a node may take to finish what it is at; longer than the node itself allows.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

/// A node's process. It is told to end when its standard input ends, which it also does when this
/// process dies without a word; dropping this kills it.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    /// Open for as long as the node should run.
    lifeline: Option<ChildStdin>,
    id: u32,
}

impl Node {
    /// Starts a node and returns once it answers.
    pub(crate) async fn start(settings: &NodeSettings) -> Result<Self, Fault> {
        let name = settings.name;
        let fault =
            |error: std::io::Error| Fault::new(format!("node {name} cannot start: {error}"));
        let mut child = command(name).map_err(fault)?.spawn().map_err(fault)?;
        let mut line = Vec::new();
        settings.write(&mut line).map_err(fault)?;
        let mut lifeline = child.stdin.take();
        if let Some(stdin) = &mut lifeline {
            stdin.write_all(&line).await.map_err(fault)?;
        }
        let id = child.id().unwrap_or_default();
        let mut node = Self { child, lifeline, id };
        match timeout(STARTS_WITHIN, node.is_ready()).await {
            Ok(true) => Ok(node),
            Ok(false) => Err(Fault::new(format!("node {name} ended before it answered"))),
            Err(_) => Err(Fault::new(format!("node {name} does not answer"))),
        }
    }

    /// Waits for the node's word; `false` where the node ends without it.
    async fn is_ready(&mut self) -> bool {
        let Some(stdout) = self.child.stdout.take() else {
            return false;
        };
        let line = BufReader::new(stdout).lines().next_line().await;
        line.is_ok_and(|line| line.as_deref() == Some(READY))
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Completes when the process has ended by itself, or was killed.
    pub(crate) async fn ended(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Kills the process, without a word to it.
    pub(crate) fn kill(&mut self) {
        // One that has ended by itself is as dead.
        let _ = self.child.start_kill();
    }

    /// Asks the process to end, and kills it where it takes too long.
    pub(crate) async fn stop(mut self) {
        drop(self.lifeline.take());
        if timeout(ENDS_WITHIN, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

fn command(name: Name) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("demo-node").arg(name.lower());
    // The store's address reaches a node by its standard input alone.
    command.env_remove("CLOAKROOM_STORE");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}
