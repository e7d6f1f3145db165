//! What a read and a write take, and what a session takes.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom::Token;
use serde::Serialize;

use super::Options;
use super::places::Place;
use super::user::User;
use crate::scale::gauge::{Latency, in_turn, spread};

/// How many calls are under way together under load.
const TOGETHER: usize = 32;
/// How long a cache may take until it trusts its feed.
const TRUST: Duration = Duration::from_secs(20);

/// What was measured of a store.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Speed {
    /// A read that asks the store.
    pub(crate) read: Latency,
    /// A read from the node's memory, where there is a cache.
    pub(crate) cached: Option<Latency>,
    /// A write, with the cache where there is one.
    pub(crate) write: Latency,
    /// Reads that ask the store, in a second.
    pub(crate) reads_per_second: f64,
    /// Reads from the node's memory, in a second.
    pub(crate) cached_per_second: Option<f64>,
    /// Writes in a second.
    pub(crate) writes_per_second: f64,
    /// Bytes that the server keeps for a session, where it can tell.
    pub(crate) bytes: Option<f64>,
}

/// Measures a store.
///
/// # Errors
///
/// Where a call fails: nothing is wrong with the store meanwhile.
pub(crate) async fn measure(place: &Place, options: &Options) -> io::Result<Speed> {
    let (plain, cached) = nodes(place).await?;
    let before = place.size().await?;
    let seeder = plain.clone();
    let create = move |_| {
        let seeder = seeder.clone();
        async move { seeder.create().await }
    };
    let tokens: Arc<[Token]> = spread(options.sessions(), TOGETHER, create).await?.into();
    let after = place.size().await?;
    let each = |grown: u64| grown as f64 / tokens.len() as f64;
    let bytes = before.zip(after).map(|(before, after)| each(after.saturating_sub(before)));
    let at = |number: usize| &tokens[number % tokens.len()];
    let read = in_turn(options.samples(), async |number| plain.read(at(number)).await).await?;
    let reads_per_second = load(&plain, &tokens, options.time(), false).await?;
    let writer = cached.as_ref().unwrap_or(&plain);
    let (mut latency, mut per_second) = (None, None);
    if let Some(cached) = &cached {
        caught_up(cached, at(0)).await?;
        for token in tokens.iter() {
            cached.read(token).await?;
        }
        latency =
            Some(in_turn(options.samples(), async |number| cached.read(at(number)).await).await?);
        per_second = Some(load(cached, &tokens, options.time(), false).await?);
    }
    let write = in_turn(options.samples(), async |number| {
        writer.write(at(number), number as u64 + 1).await
    });
    let write = write.await?;
    let writes_per_second = load(writer, &tokens, options.time(), true).await?;
    Ok(Speed {
        read,
        cached: latency,
        write,
        reads_per_second,
        cached_per_second: per_second,
        writes_per_second,
        bytes,
    })
}

/// A node that asks the store, and one with a cache where the store has a feed.
async fn nodes(place: &Place) -> io::Result<(User, Option<User>)> {
    let Some(url) = place.url() else {
        return Ok((User::over(place.store()?)?, None));
    };
    let (plain, _) = User::connect(&url, false).await?;
    let (cached, has_cache) = User::connect(&url, true).await?;
    Ok((plain, has_cache.then_some(cached)))
}

/// Waits until reads come from memory: until one takes less than any round trip.
async fn caught_up(user: &User, token: &Token) -> io::Result<()> {
    const MEMORY: Duration = Duration::from_micros(15);
    let began = Instant::now();
    loop {
        let call = Instant::now();
        user.read(token).await?;
        if call.elapsed() < MEMORY {
            return Ok(());
        }
        if began.elapsed() > TRUST {
            return Err(io::Error::other("a near cache does not come to trust its feed"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many calls there are in a second, with many under way together, each in a session of its own.
async fn load(user: &User, tokens: &Arc<[Token]>, time: Duration, writes: bool) -> io::Result<f64> {
    let (user, tokens, began) = (user.clone(), Arc::clone(tokens), Instant::now());
    let work = move |worker: usize| {
        let (user, tokens) = (user.clone(), Arc::clone(&tokens));
        async move {
            let mut count = 0_usize;
            while began.elapsed() < time {
                let token = &tokens[(worker + count * TOGETHER) % tokens.len()];
                match writes {
                    true => user.write(token, count as u64).await?,
                    false => user.read(token).await?,
                }
                count += 1;
                // What never waits would let nobody else in.
                tokio::task::yield_now().await;
            }
            Ok(count)
        }
    };
    let counts: usize = spread(TOGETHER, TOGETHER, work).await?.into_iter().sum();
    Ok(counts as f64 / began.elapsed().as_secs_f64())
}
