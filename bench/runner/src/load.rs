//! Load that has to be exact, and so is not left to wrk: every request is answered and counted.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use crate::http::{Answer, Client, merged};
use crate::wrk::CONNECTIONS;

/// What one session's counter was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// Requests that were answered with success.
    pub(crate) acknowledged: u64,
    /// Requests that were not.
    pub(crate) errors: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Makes so many sessions, and returns their cookies.
///
/// # Errors
///
/// Where one is not made, or comes without a cookie.
pub(crate) async fn seed(port: u16, count: usize) -> io::Result<Vec<String>> {
    let left = Rc::new(Cell::new(count));
    let made = each_connection(CONNECTIONS.min(count), port, move |mut client| {
        let left = Rc::clone(&left);
        async move {
            let mut cookies = Vec::new();
            while take(&left) {
                let answer = succeeded("/seed", client.get("/seed", None).await?)?;
                let cookie = answer.cookie.ok_or_else(|| io::Error::other("/seed sets no cookie"));
                cookies.push(cookie?);
            }
            Ok(cookies)
        }
    });
    Ok(made.await?.concat())
}

/// Asks for `path` once with each of the cookies.
///
/// # Errors
///
/// Where an answer is no success.
pub(crate) async fn each(port: u16, path: &'static str, cookies: &[String]) -> io::Result<()> {
    let cookies: Rc<[String]> = cookies.into();
    let left = Rc::new(Cell::new(cookies.len()));
    let asked = each_connection(CONNECTIONS, port, move |mut client| {
        let (left, cookies) = (Rc::clone(&left), Rc::clone(&cookies));
        async move {
            while take(&left) {
                let cookie = &cookies[left.get()];
                succeeded(path, client.get(path, Some(cookie)).await?)?;
            }
            Ok(())
        }
    });
    asked.await.map(drop)
}

/// Asks for `path` in one session, over so many connections, until the time is over; then waits
/// for the answers that are under way, so that what was acknowledged is known exactly.
///
/// # Errors
///
/// Where a connection breaks.
pub(crate) async fn count(
    port: u16,
    path: &'static str,
    cookie: &str,
    connections: usize,
    time: Duration,
) -> io::Result<Counted> {
    let began = Instant::now();
    let cookie = cookie.to_owned();
    let counts = each_connection(connections, port, move |mut client| {
        let mut cookie = cookie.clone();
        async move {
            let mut counted = Counted::default();
            while began.elapsed() < time {
                let answer = client.get(path, Some(&cookie)).await?;
                let success = answer.status.is_success();
                counted.acknowledged += u64::from(success);
                counted.errors += u64::from(!success);
                if let Some(set) = answer.cookie {
                    cookie = merged(&cookie, &set);
                }
            }
            Ok(counted)
        }
    });
    let sum = counts.await?.into_iter().fold(Counted::default(), |sum, one| Counted {
        acknowledged: sum.acknowledged + one.acknowledged,
        errors: sum.errors + one.errors,
        ..sum
    });
    Ok(Counted { took: began.elapsed(), ..sum })
}

/// Runs `work` on each of so many connections at once, and returns what they have returned.
async fn each_connection<T, W, F>(connections: usize, port: u16, work: W) -> io::Result<Vec<T>>
where
    T: 'static,
    W: Fn(Client) -> F,
    F: Future<Output = io::Result<T>> + 'static,
{
    let local = LocalSet::new();
    local
        .run_until(async {
            let mut running = JoinSet::new();
            for _ in 0..connections {
                running.spawn_local(work(Client::connect(port).await?));
            }
            let mut results = Vec::with_capacity(connections);
            while let Some(result) = running.join_next().await {
                results.push(result.map_err(io::Error::other)??);
            }
            Ok(results)
        })
        .await
}

/// Takes one of what is left, if anything is.
fn take(left: &Cell<usize>) -> bool {
    let some = left.get() > 0;
    left.set(left.get().saturating_sub(1));
    some
}

fn succeeded(path: &str, answer: Answer) -> io::Result<Answer> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    Err(io::Error::other(format!("{path} is answered with {}: {}", answer.status, answer.body)))
}
