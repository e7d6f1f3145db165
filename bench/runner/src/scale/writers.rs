//! Many writers at one attribute of one session: none of what they were acknowledged may be lost.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cloakroom::Token;
use serde::Serialize;

use super::gauge::{Latency, spread};
use super::node::{Node, Seeder};
use crate::redis::Redis;

/// What was measured with so many writers.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct WritersRow {
    /// How many writers there are.
    pub(crate) writers: u64,
    /// On how many nodes.
    pub(crate) nodes: u64,
    /// How many increments were acknowledged.
    pub(crate) acknowledged: u64,
    /// Of those, how many the counter does not show.
    pub(crate) lost: i64,
    /// How many increments were refused, or are unknown.
    pub(crate) errors: u64,
    /// Acknowledged increments in a second.
    pub(crate) per_second: f64,
    /// How long one takes.
    pub(crate) latency: Option<Latency>,
    /// Redis' CPU for one, in microseconds.
    pub(crate) redis_us: f64,
}

impl WritersRow {
    /// What is wrong with it, where anything is.
    pub(crate) fn failure(&self) -> Option<String> {
        let Self { writers, nodes, acknowledged, lost, errors, .. } = self;
        (*lost != 0 || *errors != 0 || *acknowledged == 0).then(|| {
            format!(
                "{writers} writers on {nodes} nodes: {acknowledged} acknowledged, {lost} lost, \
                 {errors} errors"
            )
        })
    }
}

/// Measures each number of writers on so many nodes.
///
/// # Errors
///
/// Where it cannot be counted.
pub(crate) async fn measure(
    folder: &Path,
    nodes: usize,
    writers: &[usize],
    time: Duration,
) -> io::Result<Vec<WritersRow>> {
    let mut redis = Redis::start(folder, "writers").await?;
    let plain = Node::plain(&redis.url()).await?;
    let tokens = Seeder::new(&plain, None).await?.store(writers.len(), None).await?;
    let mut all = Vec::with_capacity(nodes);
    for _ in 0..nodes {
        all.push(Node::cached(&redis.url(), &tokens[0]).await?);
    }
    let all: Arc<[Node]> = all.into();
    let mut rows = Vec::with_capacity(writers.len());
    for (writers, token) in writers.iter().zip(&tokens) {
        rows.push(count(&mut redis, &all, &plain, token, *writers, time).await?);
    }
    Ok(rows)
}

async fn count(
    redis: &mut Redis,
    nodes: &Arc<[Node]>,
    plain: &Node,
    token: &Token,
    writers: usize,
    time: Duration,
) -> io::Result<WritersRow> {
    let before = redis.info()?.cpu_us;
    let (errors, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let writer = {
        let (nodes, token, errors) = (Arc::clone(nodes), token.clone(), Arc::clone(&errors));
        move |number: usize| {
            let node = nodes[number % nodes.len()].clone();
            increments(node, token.clone(), Arc::clone(&errors), time)
        }
    };
    let calls = spread(writers, writers, writer).await?.concat();
    let seconds = began.elapsed().as_secs_f64();
    let cpu_us = redis.info()?.cpu_us - before;
    let (acknowledged, counted) = (calls.len() as u64, plain.counted(token).await?);
    Ok(WritersRow {
        writers: writers as u64,
        nodes: nodes.len() as u64,
        acknowledged,
        lost: acknowledged.cast_signed() - counted.cast_signed(),
        errors: errors.load(Ordering::Relaxed),
        per_second: acknowledged as f64 / seconds,
        redis_us: cpu_us / acknowledged.max(1) as f64,
        latency: Latency::of(calls),
    })
}

/// One writer: increments until the time is over, and waits for the last answer. How long each
/// took that was acknowledged.
async fn increments(
    node: Node,
    token: Token,
    errors: Arc<AtomicU64>,
    time: Duration,
) -> io::Result<Vec<Duration>> {
    let (begun, mut calls) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let began = Instant::now();
        match node.count(&token).await {
            Ok(()) => calls.push(began.elapsed()),
            Err(error) => {
                eprintln!("an increment is not acknowledged: {error}");
                errors.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_increment_is_a_failure() {
        let fine = WritersRow { acknowledged: 10, ..WritersRow::default() };
        assert_eq!(fine.failure(), None);
        assert!(WritersRow { lost: 1, ..fine.clone() }.failure().is_some());
        assert!(WritersRow { lost: -1, ..fine.clone() }.failure().is_some());
        assert!(WritersRow { errors: 1, ..fine.clone() }.failure().is_some());
        assert!(WritersRow { acknowledged: 0, ..fine }.failure().is_some(), "nothing was shown");
    }
}
