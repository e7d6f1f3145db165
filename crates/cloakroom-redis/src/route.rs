//! Which connection a command goes to: the only one, or that of its bucket's master.

use std::fmt;
use std::sync::Arc;

use cloakroom_core::store::{Error, FeedSource as Source, Notices, Result};
use redis::{Cmd, Pipeline, Value};

use crate::cluster::Cluster;
use crate::fault::{self, Fault};
use crate::layout::Layout;
use crate::link::Link;

/// The way to every bucket.
pub(crate) enum Route {
    /// One server has them all.
    Single(Link),
    /// The masters of a cluster share them.
    Cluster(Cluster),
}

/// Commands that go out together, each on names of one bucket.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) buckets: Vec<u8>,
    pub(crate) commands: Vec<Cmd>,
}

impl Batch {
    /// A batch of about so many commands.
    pub(crate) fn with_capacity(commands: usize) -> Self {
        Self { buckets: Vec::with_capacity(commands), commands: Vec::with_capacity(commands) }
    }

    /// Adds a command.
    pub(crate) fn add(&mut self, bucket: u8, command: Cmd) {
        self.buckets.push(bucket);
        self.commands.push(command);
    }
}

impl Route {
    /// Sends one command. It is carried out once, or not at all.
    pub(crate) async fn send(&self, bucket: u8, command: &Cmd) -> Result<Value, Fault> {
        match self {
            Self::Single(link) => link.send(command).await,
            Self::Cluster(cluster) => Box::pin(cluster.send(bucket, command)).await,
        }
    }

    /// Sends commands in one round trip, one to each server where there are several. There is an
    /// answer or an error for each.
    pub(crate) async fn send_all(&self, batch: Batch) -> Vec<Result<Value, Fault>> {
        match self {
            Self::Single(link) => {
                let count = batch.commands.len();
                let mut pipeline = Pipeline::with_capacity(count);
                for command in batch.commands {
                    pipeline.add_command(command);
                }
                answers(link.send_all(&pipeline).await, count)
            }
            Self::Cluster(cluster) => cluster.send_all(&batch).await,
        }
    }

    /// Sends a command that any server may answer.
    pub(crate) async fn send_to_any(&self, command: &Cmd) -> Result<Value, Fault> {
        match self {
            Self::Single(link) => link.send(command).await,
            Self::Cluster(cluster) => cluster.send_to_any(command).await,
        }
    }

    /// Tells `notices` of changes, and nobody else any more.
    pub(crate) fn follow(&self, notices: Arc<dyn Notices>) {
        match self {
            Self::Single(link) => link.follow(notices),
            Self::Cluster(cluster) => cluster.follow(notices),
        }
    }

    /// The source that a bucket's commands go to now.
    pub(crate) fn source(&self, bucket: u8) -> Option<Source> {
        match self {
            Self::Single(link) => link.source(),
            Self::Cluster(cluster) => cluster.source(bucket),
        }
    }

    /// Asks a source whether it is still there, and may still write.
    pub(crate) async fn beat(&self, source: Source, layout: &Layout) -> Result<(), Fault> {
        match self {
            Self::Single(link) => link.send_to(source, &beat(layout, 0)).await.map(drop),
            Self::Cluster(cluster) => cluster.beat(source).await,
        }
    }

    /// Gives up a source.
    pub(crate) fn reset(&self, source: Source) {
        match self {
            Self::Single(link) => link.reset(source),
            Self::Cluster(cluster) => cluster.reset(source),
        }
    }
}

/// Deletes what is not there: only a server that may write does that.
pub(crate) fn beat(layout: &Layout, bucket: u8) -> Cmd {
    let mut command = redis::cmd("DEL");
    command.arg(layout.nothing(bucket));
    command
}

/// An answer for each of `count` commands of a pipeline.
pub(crate) fn answers(
    answer: Result<Vec<Value>, Fault>,
    count: usize,
) -> Vec<Result<Value, Fault>> {
    match answer {
        Ok(values) => values.into_iter().map(fault::reply).collect(),
        Err(fault) => vec![Err(fault); count],
    }
}

/// The first error among answers, where there is one.
pub(crate) fn first_error<T>(answers: &[Result<T, Fault>]) -> Option<Error> {
    answers.iter().find_map(|answer| answer.as_ref().err()).cloned().map(Error::from)
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(link) => link.fmt(f),
            Self::Cluster(cluster) => cluster.fmt(f),
        }
    }
}
