//! What several nodes on one Redis tell each other, what that costs, and how long it takes.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom::Token;
use serde::Serialize;
use tokio::task::JoinSet;

use super::gauge::{Latency, Load, load, spread};
use super::node::{Node, Seeder};
use super::sizes::own;
use crate::redis::Redis;

/// How many sessions every node has in its cache.
const HOT: usize = 2000;
/// How often each of them is written by the first node, and read again by all others.
const ROUNDS: usize = 5;
/// How many requests are under way together.
const WIDTH: usize = 16;
/// How often Redis counts what its clients' buffers take, and a little more.
const CRON: Duration = Duration::from_millis(1200);
/// How long a node may take to see what another one did.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was measured with so many nodes.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct NodesRow {
    /// How many nodes there are.
    pub(crate) nodes: u64,
    /// How many sessions each of them has in its cache.
    pub(crate) hot: u64,
    /// Bytes that Redis takes to remember who has read one of these.
    pub(crate) tracking_bytes: f64,
    /// How many nodes are told of a write.
    pub(crate) invalidations: f64,
    /// How many times a written session is read from Redis again, where every node reads it.
    pub(crate) reread: f64,
    /// Writes on the first node.
    pub(crate) writes: Load,
    /// Time from a write's acknowledgement until another node reads it.
    pub(crate) seen: Option<Latency>,
    /// Time from an ending's acknowledgement until another node refuses the session.
    pub(crate) refused: Option<Latency>,
}

/// Measures so many nodes on a Redis of their own.
///
/// # Errors
///
/// Where something is not done as it should be.
pub(crate) async fn measure(folder: &Path, nodes: usize, samples: usize) -> io::Result<NodesRow> {
    let mut redis = Redis::start(folder, "nodes").await?;
    // This one caches nothing, so Redis does not remember what it has read.
    let plain = Node::plain(&redis.url()).await?;
    let hot: Arc<[Token]> = Seeder::new(&plain, None).await?.store(HOT, None).await?.into();
    let mut all = Vec::with_capacity(nodes);
    for _ in 0..nodes {
        all.push(Node::cached(&redis.url(), &hot[0]).await?);
    }
    let mut row = NodesRow { nodes: nodes as u64, hot: HOT as u64, ..NodesRow::default() };
    row.tracking_bytes = remember(&mut redis, &all, &hot).await?;
    traffic(&mut redis, &all, &hot, &mut row).await?;
    if nodes > 1 {
        row.seen = seen(&all, &hot, samples).await?;
        row.refused = refused(&all, &hot, samples.min(HOT)).await?;
    }
    Ok(row)
}

/// Has every node read every session; what Redis takes to remember that, for each.
async fn remember(redis: &mut Redis, nodes: &[Node], hot: &Arc<[Token]>) -> io::Result<f64> {
    tokio::time::sleep(CRON).await;
    let before = redis.info()?;
    for node in nodes {
        read_all(node, hot).await?;
    }
    tokio::time::sleep(CRON).await;
    let after = redis.info()?;
    let expected = (hot.len() * nodes.len()) as u64;
    if after.tracked_items != expected || after.tracked_keys != hot.len() as u64 {
        let found = (after.tracked_keys, after.tracked_items);
        return Err(io::Error::other(format!("Redis remembers {found:?}, not {expected}")));
    }
    // Each node had one of them before.
    let more = (after.tracked_keys - before.tracked_keys) as f64;
    Ok(own(&after).saturating_sub(own(&before)) as f64 / more)
}

async fn read_all(node: &Node, hot: &Arc<[Token]>) -> io::Result<()> {
    let (node, hot) = (node.clone(), Arc::clone(hot));
    let read = move |number: usize| {
        let (node, hot) = (node.clone(), Arc::clone(&hot));
        async move { node.read(&hot[number]).await }
    };
    spread(HOT, WIDTH, read).await.map(drop)
}

/// Has the first node write every session while all have it, and all others read it again.
async fn traffic(
    redis: &mut Redis,
    nodes: &[Node],
    hot: &Arc<[Token]>,
    row: &mut NodesRow,
) -> io::Result<()> {
    // Redis 7.0 remembers every name that a script declares, the index of deadlines among them, as
    // read by the writer. After the first round these come and go no more.
    write_all(&nodes[0], hot).await?;
    for node in nodes {
        read_all(node, hot).await?;
    }
    let (mut told, mut asked, mut rounds) = (0, 0, Vec::new());
    for _ in 0..ROUNDS {
        let before = redis.info()?.tracked_items;
        rounds.push(load(redis, write_all(&nodes[0], hot)).await?);
        // A name that is told of is forgotten; the writer's own is remembered again.
        told += before.saturating_sub(redis.info()?.tracked_items);
        let misses = |nodes: &[Node]| nodes.iter().map(|node| node.stats().misses).sum::<u64>();
        let before = misses(nodes);
        for node in nodes {
            read_all(node, hot).await?;
        }
        asked += misses(nodes) - before;
    }
    let writes = (ROUNDS * hot.len()) as f64;
    (row.invalidations, row.reread) = (told as f64 / writes, asked as f64 / writes);
    row.writes = median(rounds).ok_or_else(|| io::Error::other("nothing was written"))?;
    Ok(())
}

async fn write_all(node: &Node, hot: &Arc<[Token]>) -> io::Result<usize> {
    let (node, hot) = (node.clone(), Arc::clone(hot));
    let write = move |number: usize| {
        let (node, hot) = (node.clone(), Arc::clone(&hot));
        async move { node.write(&hot[number], bench_common::next_number()).await }
    };
    Ok(spread(HOT, WIDTH, write).await?.len())
}

/// The round in the middle, by what it cost Redis.
fn median(mut rounds: Vec<Load>) -> Option<Load> {
    rounds.sort_by(|one, other| one.redis_us.total_cmp(&other.redis_us));
    rounds.get(rounds.len() / 2).copied()
}

/// Has the first node write, and all others look until they see it.
async fn seen(nodes: &[Node], hot: &[Token], samples: usize) -> io::Result<Option<Latency>> {
    let mut delays = Vec::new();
    for token in hot.iter().cycle().take(samples) {
        let step = bench_common::next_number();
        let looking = look(nodes, token, move |node, token| async move {
            Ok(node.step(&token).await? == Some(step))
        });
        nodes[0].write(token, step).await?;
        delays.extend(since(Instant::now(), looking).await?);
    }
    Ok(Latency::of(delays))
}

/// Has the first node end sessions, and all others ask until they are refused.
async fn refused(nodes: &[Node], hot: &[Token], samples: usize) -> io::Result<Option<Latency>> {
    let mut delays = Vec::new();
    for token in hot.iter().take(samples) {
        let looking =
            look(nodes, token, |node, token| async move { Ok(node.open(&token).await?.is_new()) });
        let ended = nodes[0].sessions.end(token.key()).await.map_err(io::Error::other)?;
        if !ended {
            return Err(io::Error::other("a session that was to be ended is not there"));
        }
        delays.extend(since(Instant::now(), looking).await?);
    }
    Ok(Latency::of(delays))
}

/// Has all nodes but the first look until what they look for is so: when that was.
fn look<F>(
    nodes: &[Node],
    token: &Token,
    is_so: impl Fn(Node, Token) -> F + Copy + Send + 'static,
) -> JoinSet<io::Result<Instant>>
where
    F: Future<Output = io::Result<bool>> + Send + 'static,
{
    let mut looking = JoinSet::new();
    for node in &nodes[1..] {
        let (node, token) = (node.clone(), token.clone());
        looking.spawn(async move {
            let began = Instant::now();
            while !is_so(node.clone(), token.clone()).await? {
                if began.elapsed() > PATIENCE {
                    return Err(io::Error::other("a node does not see what another one did"));
                }
                tokio::task::yield_now().await;
            }
            Ok(Instant::now())
        });
    }
    looking
}

/// How long after `acknowledged` each has seen it; no time, where one was told before.
async fn since(
    acknowledged: Instant,
    mut looking: JoinSet<io::Result<Instant>>,
) -> io::Result<Vec<Duration>> {
    let mut delays = Vec::new();
    while let Some(at) = looking.join_next().await {
        delays.push(at.map_err(io::Error::other)??.saturating_duration_since(acknowledged));
    }
    Ok(delays)
}
