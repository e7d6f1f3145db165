//! How memory, latency and the cost of expiry change with the number of sessions.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloakroom::store::Keep;
use cloakroom::{Clock as _, Kind, Store as _, SystemClock, Token};
use serde::Serialize;

use super::gauge::{Latency, Load, in_turn, load, spread};
use super::node::{Node, Seeder};
use crate::info::Info;
use crate::redis::Redis;

/// How many sessions are used; the others are there.
const SAMPLE: usize = 4096;
/// How many calls one after the other.
const CALLS: usize = 4000;
/// How many calls of a load.
const LOADED: usize = 20_000;
/// How many of these are under way together.
const WIDTH: usize = 64;
/// How many sessions are swept at the most.
const SWEPT: usize = 10_000;
/// How many one sweep removes: as many as `Housekeeping` has it remove.
const BATCH: usize = 256;
/// How often what is done once in a while is done.
const SELDOM: usize = 20;
/// How long the server has for what it puts off.
const SETTLE: Duration = Duration::from_millis(300);
/// How long what is to be swept may go unused, and when that is over for sure.
const SHORT: Duration = Duration::from_secs(60);
const OVER: Duration = Duration::from_secs(120);

/// Where sessions go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Place {
    /// Into all 256 buckets of one server.
    Everywhere,
    /// Into one bucket, on a master of a cluster.
    OneBucket,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everywhere => "in all buckets of a server",
            Self::OneBucket => "in one bucket of a cluster",
        })
    }
}

/// What was measured with so many sessions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SizeRow {
    /// How many sessions there are.
    pub(crate) sessions: u64,
    /// In how many of the 256 buckets they are: all, or one of a cluster's master.
    pub(crate) buckets: u64,
    /// The length of a record.
    pub(crate) encoded_bytes: u64,
    /// Bytes of `used_memory` for each, index and deadline included.
    pub(crate) bytes: f64,
    /// Bytes for each that the kernel has given the server.
    pub(crate) resident_bytes: f64,
    /// Making one.
    pub(crate) create: Load,
    /// Reading one attribute, one request after the other, without a cache.
    pub(crate) read: Latency,
    /// The same from a cache.
    pub(crate) cached: Latency,
    /// Writing one attribute of a session that is cached.
    pub(crate) write: Latency,
    /// Many reads at once, without a cache.
    pub(crate) reads: Load,
    /// Many writes at once, to sessions that are cached.
    pub(crate) writes: Load,
    /// Removing what is over, by one caller.
    pub(crate) sweep: Load,
    /// The same where endings are kept until they are announced.
    pub(crate) announced: Load,
    /// A sweep that finds nothing.
    pub(crate) idle_sweep: Load,
    /// Counting the sessions.
    pub(crate) count: Load,
    /// About how many bytes a cached session takes in a node.
    pub(crate) cached_bytes: f64,
}

/// Measures with so many sessions, in a Redis of their own.
///
/// # Errors
///
/// Where something is not done as it should be.
pub(crate) async fn measure(folder: &Path, sessions: usize, place: Place) -> io::Result<SizeRow> {
    let (redis, bucket, buckets) = match place {
        Place::Everywhere => (Redis::start(folder, "sizes").await?, None, 256),
        Place::OneBucket => (Redis::start_cluster(folder, "bucket").await?, Some(0), 1),
    };
    let plain = Node::plain(&redis.url()).await?;
    let seeder = Seeder::new(&plain, bucket).await?;
    let mut ground = Ground { redis, plain, seeder };
    let before = ground.redis.info()?;
    let (create, tokens) = ground.fill(sessions).await?;
    let after = ground.redis.info()?;
    let each = |now: u64, then: u64| now.saturating_sub(then) as f64 / sessions as f64;
    let (count, idle_sweep) = (ground.count(sessions).await?, ground.idle_sweep().await?);
    let used = ground.use_them(sample(&tokens)).await?;
    let sweep = ground.sweep(sessions, false).await?;
    let announced = ground.sweep(sessions, true).await?;
    Ok(SizeRow {
        sessions: sessions as u64,
        buckets,
        encoded_bytes: ground.seeder.encoded() as u64,
        bytes: each(own(&after), own(&before)),
        resident_bytes: each(after.resident, before.resident),
        create,
        read: used.read,
        cached: used.cached,
        write: used.write,
        reads: used.reads,
        writes: used.writes,
        sweep,
        announced,
        idle_sweep,
        count,
        cached_bytes: used.cached_bytes,
    })
}

/// What a server has allocated, clients' buffers left out.
pub(crate) fn own(info: &Info) -> u64 {
    info.used_memory.saturating_sub(info.client_memory)
}

/// Some of the tokens, from all over.
fn sample(tokens: &[Token]) -> Arc<[Token]> {
    let step = tokens.len().div_ceil(SAMPLE).max(1);
    tokens.iter().step_by(step).cloned().collect()
}

/// A server, and who uses it.
struct Ground {
    redis: Redis,
    plain: Node,
    seeder: Seeder,
}

/// What comes of using some of the sessions.
struct Used {
    read: Latency,
    cached: Latency,
    write: Latency,
    reads: Load,
    writes: Load,
    cached_bytes: f64,
}

impl Ground {
    async fn fill(&mut self, sessions: usize) -> io::Result<(Load, Vec<Token>)> {
        let mut tokens = Vec::new();
        let create = load(&mut self.redis, async {
            tokens = self.seeder.store(sessions, None).await?;
            Ok(tokens.len())
        });
        let create = create.await?;
        tokio::time::sleep(SETTLE).await;
        Ok((create, tokens))
    }

    async fn use_them(&mut self, tokens: Arc<[Token]>) -> io::Result<Used> {
        let first = tokens.first().ok_or_else(|| io::Error::other("there are no sessions"))?;
        let cached = Node::cached(&self.redis.url(), first).await?;
        let token = |number: usize| &tokens[number % tokens.len()];
        let read = in_turn(CALLS, async |number| self.plain.read(token(number)).await).await?;
        for token in &*tokens {
            cached.read(token).await?;
        }
        let from_memory = in_turn(CALLS, async |number| cached.read(token(number)).await).await?;
        let stats = cached.stats();
        let write = in_turn(CALLS, async |number| {
            cached.write(token(number), bench_common::next_number()).await
        });
        let write = write.await?;
        let reads = self.loaded(&self.plain.clone(), &tokens, false).await?;
        let writes = self.loaded(&cached, &tokens, true).await?;
        let cached_bytes = stats.bytes as f64 / stats.records.max(1) as f64;
        Ok(Used { read, cached: from_memory, write, reads, writes, cached_bytes })
    }

    /// Many requests at once, each to another session than those that are under way.
    async fn loaded(
        &mut self,
        node: &Node,
        tokens: &Arc<[Token]>,
        writes: bool,
    ) -> io::Result<Load> {
        let (node, tokens) = (node.clone(), Arc::clone(tokens));
        let request = move |number: usize| {
            let (node, tokens) = (node.clone(), Arc::clone(&tokens));
            async move {
                let token = &tokens[number % tokens.len()];
                match writes {
                    true => node.write(token, bench_common::next_number()).await,
                    false => node.read(token).await,
                }
            }
        };
        let all = async { Ok(spread(LOADED, WIDTH, request).await?.len()) };
        load(&mut self.redis, all).await
    }

    async fn count(&mut self, sessions: usize) -> io::Result<Load> {
        let store = Arc::clone(&self.plain.store);
        let counting = async {
            let directory = store.directory().ok_or_else(|| io::Error::other("no directory"))?;
            for _ in 0..SELDOM {
                let count = directory.count(Kind::Session, SystemClock.now()).await;
                if count.map_err(io::Error::other)? != sessions as u64 {
                    return Err(io::Error::other("not as many sessions as were stored"));
                }
            }
            Ok(SELDOM)
        };
        load(&mut self.redis, counting).await
    }

    async fn idle_sweep(&mut self) -> io::Result<Load> {
        let store = Arc::clone(&self.plain.store);
        let sweeping = async {
            for _ in 0..SELDOM {
                let swept = store.expire(BATCH, Keep::Nothing, SystemClock.now()).await;
                if !swept.map_err(io::Error::other)?.is_empty() {
                    return Err(io::Error::other("a session was swept before its time"));
                }
            }
            Ok(SELDOM)
        };
        load(&mut self.redis, sweeping).await
    }

    /// Adds sessions that are soon over, and has one caller remove these.
    async fn sweep(&mut self, sessions: usize, announces: bool) -> io::Result<Load> {
        let over = self.seeder.store(sessions.min(SWEPT), Some(SHORT)).await?.len();
        let store = Arc::clone(&self.plain.store);
        let sweeping = async {
            let mut removed = 0;
            loop {
                let now = SystemClock.now() + OVER;
                let keep = if announces { Keep::LeasedUntil(now + OVER) } else { Keep::Nothing };
                let swept = store.expire(BATCH, keep, now).await.map_err(io::Error::other)?;
                if swept.is_empty() {
                    break;
                }
                removed += swept.len();
                if let (true, Some(endings)) = (announces, store.endings()) {
                    for ending in &swept {
                        endings.acknowledge(ending.key).await.map_err(io::Error::other)?;
                    }
                }
            }
            if removed != over {
                return Err(io::Error::other(format!("{removed} of {over} sessions were swept")));
            }
            Ok(removed)
        };
        load(&mut self.redis, sweeping).await
    }
}
