//! A cluster: every command to its bucket's master, and after the bucket where it moves.
//!
//! A command is sent again only where the answer proves that it was not carried out: another node
//! has the bucket (MOVED), or already has what was asked for (ASK), or the bucket is on its way and
//! split between two (TRYAGAIN). Whatever else goes wrong is the caller's to hear of at once; what
//! has become of the cluster is found out behind its back.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use cloakroom_core::store::backoff::{delay, random};
use cloakroom_core::store::{FeedSource as Source, Notice, Notices};
use futures_util::future::{FutureExt, join_all, select_ok};
use redis::{Arg, AsyncConnectionConfig, Cmd, Pipeline, ServerErrorKind, Value};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::fault::{Fault, Nobody};
use crate::layout::Layout;
use crate::link::Link;
use crate::place::{Dialer, Place};
use crate::route::{Batch, answers, beat};
use crate::table::{Node, Table};
use crate::topology;
use crate::url::{self, Address};

/// How often one command is sent elsewhere.
const REDIRECTIONS: usize = 5;
/// How long a command waits for the other half of a bucket that is on its way.
const SPLIT: Duration = Duration::from_secs(1);
/// How often the wait between two such tries doubles.
const DOUBLINGS: u32 = 2;
/// How many nodes are asked about the cluster at once.
const ASKED: usize = 5;
/// The least time between two questions about the cluster.
const EVERY: Duration = Duration::from_millis(100);
/// How many of a master's buckets are asked about before it is taken for none.
const BEATS: usize = 3;

/// The connections to a cluster. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Inner>);

struct Inner {
    dialer: Dialer,
    config: AsyncConnectionConfig,
    /// How long one node may take to say what it knows.
    limit: Duration,
    seeds: Vec<Address>,
    layout: Layout,
    table: RwLock<Table>,
    asking: Mutex<Asking>,
    /// Which bucket of a master is asked about next, and which nodes about the cluster.
    turn: AtomicUsize,
}

/// When the cluster was last asked for, and whether it is being asked now.
#[derive(Default)]
struct Asking {
    is_on: bool,
    last: Option<Instant>,
}

impl Cluster {
    /// Asks the nodes that are given about the cluster.
    pub(crate) async fn connect(
        dialer: Dialer,
        config: AsyncConnectionConfig,
        limit: Duration,
        seeds: Vec<Address>,
        layout: Layout,
    ) -> Result<Self, Fault> {
        let table = RwLock::new(Table::new(seeds.clone()));
        let (asking, turn) = (Mutex::default(), AtomicUsize::new(0));
        let inner = Inner { dialer, config, limit, seeds, layout, table, asking, turn };
        let cluster = Self(Arc::new(inner));
        let mut fault = Fault::Nobody(Nobody::Unserved);
        // A few at once, so that nodes that hang do not use up the time.
        for _ in 0..cluster.0.seeds.len().div_ceil(ASKED) {
            match cluster.0.ask().await {
                Ok(()) => return Ok(cluster),
                Err(found) => fault = found,
            }
        }
        Err(fault)
    }

    /// The connections to the masters, each with its address.
    pub(crate) fn links(&self) -> Vec<(String, Link)> {
        let table = self.0.table();
        table.nodes().map(|node| (node.address.to_string(), node.link.clone())).collect()
    }

    /// Sends one command to its bucket's master.
    pub(crate) async fn send(&self, bucket: u8, command: &Cmd) -> Result<Value, Fault> {
        let node = self.0.owner(bucket)?;
        match node.link.send(command).await {
            Ok(value) => Ok(value),
            Err(fault) => {
                let until = Instant::now() + SPLIT;
                Box::pin(self.0.elsewhere((bucket, command), node, fault, until)).await
            }
        }
    }

    /// Sends commands, in one round trip to each master. Those that have moved are sent again in
    /// the same way.
    pub(crate) async fn send_all(&self, batch: &Batch) -> Vec<Result<Value, Fault>> {
        let mut all: Vec<Option<Result<Value, Fault>>> = vec![None; batch.commands.len()];
        let mut left: Vec<usize> = (0..all.len()).collect();
        let until = Instant::now() + SPLIT;
        for _ in 0..REDIRECTIONS {
            let mut moved = Vec::new();
            for (node, at, answer) in self.0.send_grouped(batch, &left).await {
                let bucket = batch.buckets[at];
                if let Err(fault) = &answer
                    && fault.is(ServerErrorKind::Moved)
                    && self.0.moved(bucket, fault, &node)
                {
                    moved.push(at);
                    all[at] = Some(answer);
                    continue;
                }
                all[at] = Some(match answer {
                    Ok(value) => Ok(value),
                    Err(fault) => {
                        let command = &batch.commands[at];
                        Box::pin(self.0.elsewhere((bucket, command), node, fault, until)).await
                    }
                });
            }
            left = moved;
            if left.is_empty() {
                break;
            }
        }
        let unserved = || Err(Fault::Nobody(Nobody::Unserved));
        all.into_iter().map(|answer| answer.unwrap_or_else(unserved)).collect()
    }

    /// Sends a command to one master after another, until one answers.
    pub(crate) async fn send_to_any(&self, command: &Cmd) -> Result<Value, Fault> {
        let links = self.links();
        let first = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let mut fault = Fault::Nobody(Nobody::Unserved);
        for step in 0..links.len() {
            match links[first.wrapping_add(step) % links.len()].1.send(command).await {
                Ok(value) => return Ok(value),
                Err(found) => fault = found,
            }
        }
        self.0.ask_soon();
        Err(fault)
    }

    pub(crate) fn follow(&self, notices: Arc<dyn Notices>) {
        let mut table = self.0.table_mut();
        table.follower = Some(notices.clone());
        table.nodes().for_each(|node| node.link.follow(notices.clone()));
    }

    pub(crate) fn source(&self, bucket: u8) -> Option<Source> {
        self.0.table().owner(bucket)?.link.source()
    }

    /// Deletes what is not there in one of the source's buckets, each time in another one.
    pub(crate) async fn beat(&self, source: Source) -> Result<(), Fault> {
        let replaced = Fault::Nobody(Nobody::Replaced);
        let node = self.0.table().node_of(source).cloned().ok_or(replaced.clone())?;
        for _ in 0..BEATS {
            let buckets = self.0.table().buckets_of(&node);
            if buckets.is_empty() {
                break;
            }
            let bucket = buckets[self.0.turn.fetch_add(1, Ordering::Relaxed) % buckets.len()];
            match node.link.send_to(source, &beat(&self.0.layout, bucket)).await {
                Ok(_) => return Ok(()),
                // The bucket is on its way, and this is still its master: nobody else says so.
                Err(fault) if fault.is(ServerErrorKind::Ask) => return Ok(()),
                Err(fault) if fault.is(ServerErrorKind::Moved) => {
                    self.0.moved(bucket, &fault, &node);
                }
                Err(fault) => {
                    self.0.ask_soon();
                    return Err(fault);
                }
            }
        }
        // It has nothing any more: it is no master.
        node.link.reset(source);
        Err(replaced)
    }

    pub(crate) fn reset(&self, source: Source) {
        let node = self.0.table().node_of(source).cloned();
        if let Some(node) = node {
            node.link.reset(source);
            self.0.ask_soon();
        }
    }
}

/// Tells, when a call that went elsewhere is over or given up, that what it was about may have
/// changed: it was not carried out at the source that was named for it.
struct Astray<'a> {
    inner: &'a Inner,
    command: &'a Cmd,
}

impl Drop for Astray<'_> {
    fn drop(&mut self) {
        let Some(follower) = self.inner.table().follower.clone() else {
            return;
        };
        for arg in self.command.args_iter() {
            if let Arg::Simple(name) = arg
                && let Some(key) = self.inner.layout.key_of(name)
            {
                follower.hear(Notice::Changed(key));
            }
        }
    }
}

impl Inner {
    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn owner(self: &Arc<Self>, bucket: u8) -> Result<Arc<Node>, Fault> {
        let owner = self.table().owner(bucket).cloned();
        owner.ok_or_else(|| {
            self.ask_soon();
            Fault::Nobody(Nobody::Unserved)
        })
    }

    /// Goes after a command that `node` has not carried out, and says so. Where its bucket is
    /// split, it is sent again until then.
    async fn elsewhere(
        self: &Arc<Self>,
        (bucket, command): (u8, &Cmd),
        mut node: Arc<Node>,
        mut fault: Fault,
        until: Instant,
    ) -> Result<Value, Fault> {
        let (mut tries, mut redirections, mut astray) = (0, 0, None);
        loop {
            let answer = if fault.is(ServerErrorKind::TryAgain) && Instant::now() < until {
                sleep(delay(DOUBLINGS.min(tries), random())).await;
                tries += 1;
                node = self.owner(bucket)?;
                node.link.send(command).await
            } else if redirections >= REDIRECTIONS {
                return Err(fault);
            } else if fault.is(ServerErrorKind::Moved) && self.moved(bucket, &fault, &node) {
                redirections += 1;
                astray = astray.or(Some(Astray { inner: self, command }));
                node = self.owner(bucket)?;
                node.link.send(command).await
            } else if fault.is(ServerErrorKind::Ask)
                && let Some(other) = self.named(&fault, &node)
            {
                redirections += 1;
                astray = astray.or(Some(Astray { inner: self, command }));
                other.link.send_asking(command).await
            } else {
                self.suspect(&fault);
                return Err(fault);
            };
            match answer {
                Ok(value) => return Ok(value),
                Err(found) => fault = found,
            }
        }
    }

    /// Sends the commands at `left`, grouped by their masters. Each answer comes with who gave it.
    async fn send_grouped(
        self: &Arc<Self>,
        batch: &Batch,
        left: &[usize],
    ) -> Vec<(Arc<Node>, usize, Result<Value, Fault>)> {
        let mut groups: Vec<(Arc<Node>, Vec<usize>, Pipeline)> = Vec::new();
        for at in left {
            let Ok(owner) = self.owner(batch.buckets[*at]) else {
                continue;
            };
            let group = groups.iter().position(|(node, ..)| Arc::ptr_eq(node, &owner));
            let group = group.unwrap_or_else(|| {
                groups.push((owner, Vec::new(), Pipeline::new()));
                groups.len() - 1
            });
            groups[group].1.push(*at);
            groups[group].2.add_command(batch.commands[*at].clone());
        }
        let sent = groups.into_iter().map(|(node, places, pipeline)| async move {
            let answer = node.link.send_all(&pipeline).await;
            let answers = answers(answer, places.len());
            places.into_iter().zip(answers).map(move |(at, answer)| (node.clone(), at, answer))
        });
        join_all(sent).await.into_iter().flatten().collect()
    }

    /// Notes who has a bucket by what its former master says; `false` where that is not clear.
    fn moved(self: &Arc<Self>, bucket: u8, fault: &Fault, by: &Node) -> bool {
        let Some(node) = self.named(fault, by) else {
            return false;
        };
        self.table_mut().set_owner(bucket, node);
        self.ask_soon();
        true
    }

    /// The node that a redirection names. One without a host is on that of who says so.
    fn named(&self, fault: &Fault, by: &Node) -> Option<Arc<Node>> {
        let (text, _) = fault.said()?.redirect_node()?;
        let (host, port) = text.rsplit_once(':')?;
        let address = match host {
            "" => Address { host: by.address.host.clone(), port: port.parse().ok()? },
            host if host.contains(':') && !host.starts_with('[') => {
                Address { host: host.to_owned(), port: port.parse().ok()? }
            }
            _ => url::address(text, 0)?,
        };
        self.table_mut().node(&address, |follower| self.link(&address, follower))
    }

    fn link(&self, address: &Address, follower: Option<Arc<dyn Notices>>) -> Option<Link> {
        let place = Place::Server(self.dialer.client(address).ok()?.into());
        Some(Link::new(place, self.config.clone(), self.layout.clone(), follower))
    }

    /// Asks about the cluster where a fault may mean that it is another than it was.
    fn suspect(self: &Arc<Self>, fault: &Fault) {
        let refused = fault.said().is_some();
        let kinds = [ServerErrorKind::ClusterDown, ServerErrorKind::ReadOnly];
        if !refused || kinds.iter().any(|kind| fault.is(*kind)) {
            self.ask_soon();
        }
    }

    /// Asks about the cluster, unless somebody does or just has. Nobody waits for it.
    fn ask_soon(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if asking.is_on || asking.last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        asking.is_on = true;
        let inner = Arc::clone(self);
        drop(runtime.spawn(async move {
            if let Err(fault) = inner.ask().await {
                tracing::debug!(?fault, "no node says what has become of the Redis cluster");
            }
            let mut asking = inner.asking.lock().unwrap_or_else(PoisonError::into_inner);
            *asking = Asking { is_on: false, last: Some(Instant::now()) };
        }));
    }

    /// Asks a few nodes about the cluster, and learns from the first that answers. None of the
    /// connections that serve is used: they may be what is wrong.
    async fn ask(self: &Arc<Self>) -> Result<(), Fault> {
        let known = self.table().known().to_vec();
        let first = self.turn.fetch_add(ASKED, Ordering::Relaxed);
        let asked = (0..known.len().min(ASKED))
            .map(|step| known[first.wrapping_add(step) % known.len()].clone())
            .map(|address| self.ask_one(address).boxed());
        let (topology, _) = select_ok(asked).await?;
        let link = |address: &Address, follower| self.link(address, follower);
        self.table_mut().learn(&topology, &self.seeds, link);
        Ok(())
    }

    async fn ask_one(&self, address: Address) -> Result<topology::Topology, Fault> {
        let asking = async {
            let mut connection = self.dialer.connect(&address, &self.config).await?;
            let mut command = redis::cmd("CLUSTER");
            command.arg("SLOTS");
            let answer = connection.send_packed_command(&command).await;
            match answer.map_err(Fault::Connecting)?.extract_error() {
                Ok(answer) => {
                    topology::read(&answer, &address.host).ok_or(Fault::Nobody(Nobody::Unserved))
                }
                Err(error) if error.detail().is_some_and(|detail| detail.contains("disabled")) => {
                    Err(Fault::Nobody(Nobody::NoCluster { address: address.to_string() }))
                }
                Err(error) => Err(Fault::Connecting(error)),
            }
        };
        timeout(self.limit, asking).await.unwrap_or(Err(Fault::Nobody(Nobody::Slow)))
    }
}

impl fmt::Debug for Cluster {
    /// Prints where the nodes are, and no name or password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<String> = self.0.table().known().iter().map(Address::to_string).collect();
        write!(f, "Cluster({})", known.join(", "))
    }
}
