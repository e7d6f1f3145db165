//! How long calls take, and what they cost the server.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use crate::redis::Redis;

/// How long calls take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// What half of the calls stay under, in microseconds.
    pub(crate) p50_us: f64,
    /// What 99 of 100 calls stay under.
    pub(crate) p99_us: f64,
}

impl Latency {
    /// Of so many calls; `None` of none.
    pub(crate) fn of(mut calls: Vec<Duration>) -> Option<Self> {
        calls.sort_unstable();
        let at = |hundredths: usize| {
            let rank = (calls.len() * hundredths).div_ceil(100).max(1);
            Some(calls.get(rank - 1)?.as_secs_f64() * 1e6)
        };
        Some(Self { p50_us: at(50)?, p99_us: at(99)? })
    }
}

/// Calls under load, and what one of them costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Load {
    /// How many there were.
    pub(crate) count: u64,
    /// How many in a second.
    pub(crate) per_second: f64,
    /// How long one takes where each waits for the one before, in microseconds.
    pub(crate) each_us: f64,
    /// Redis' CPU for one, in microseconds.
    pub(crate) redis_us: f64,
    /// Bytes that Redis reads for one.
    pub(crate) bytes_in: f64,
    /// Bytes that Redis sends for one.
    pub(crate) bytes_out: f64,
}

/// Does `work`, which returns how many calls it was.
///
/// # Errors
///
/// Those of the work, and where Redis does not say what it has spent.
pub(crate) async fn load(
    redis: &mut Redis,
    work: impl Future<Output = io::Result<usize>>,
) -> io::Result<Load> {
    let before = redis.info()?;
    let began = Instant::now();
    let count = work.await?;
    let seconds = began.elapsed().as_secs_f64();
    let after = redis.info()?;
    let each = count.max(1) as f64;
    let bytes = |now: u64, then: u64| now.saturating_sub(then) as f64 / each;
    Ok(Load {
        count: count as u64,
        per_second: each / seconds,
        each_us: seconds * 1e6 / each,
        redis_us: (after.cpu_us - before.cpu_us) / each,
        bytes_in: bytes(after.bytes_in, before.bytes_in),
        bytes_out: bytes(after.bytes_out, before.bytes_out),
    })
}

/// Does `work` once for each number below `count`, so many at the same time.
///
/// # Errors
///
/// Those of the work; the others are given up then.
pub(crate) async fn spread<T, F>(
    count: usize,
    width: usize,
    work: impl Fn(usize) -> F + Clone + Send + 'static,
) -> io::Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = io::Result<T>> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..width.min(count) {
        let (work, next) = (work.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return io::Result::Ok(done);
                }
                done.push(work(number).await?);
            }
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        all.extend(done.map_err(io::Error::other)??);
    }
    Ok(all)
}

/// Does `work` once for each number below `count`, one after the other: how long each takes.
///
/// # Errors
///
/// Those of the work, and where there is none.
pub(crate) async fn in_turn(
    count: usize,
    mut work: impl AsyncFnMut(usize) -> io::Result<()>,
) -> io::Result<Latency> {
    let mut calls = Vec::with_capacity(count);
    for number in 0..count {
        let began = Instant::now();
        work(number).await?;
        calls.push(began.elapsed());
    }
    Latency::of(calls).ok_or_else(|| io::Error::other("nothing was measured"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_call_that_was_made() {
        let calls = (1..=200).rev().map(Duration::from_micros).collect();
        assert_eq!(Latency::of(calls), Some(Latency { p50_us: 100.0, p99_us: 198.0 }));
        let one = Latency::of(vec![Duration::from_micros(7)]);
        assert_eq!(one, Some(Latency { p50_us: 7.0, p99_us: 7.0 }));
        assert_eq!(Latency::of(Vec::new()), None);
    }

    #[tokio::test]
    async fn work_is_done_once_each_however_many_do_it() {
        for width in [1, 3, 100] {
            let mut done = spread(10, width, async |number| Ok(number)).await.unwrap();
            done.sort_unstable();
            assert_eq!(done, (0..10).collect::<Vec<_>>());
        }
    }

    #[tokio::test]
    async fn an_error_ends_the_work() {
        let failed = spread(10, 2, async |number| match number {
            5 => Err(io::Error::other("no")),
            _ => Ok(()),
        });
        assert!(failed.await.is_err());
    }
}
