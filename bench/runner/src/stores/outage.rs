//! What an outage costs: the server is killed while many write, and started again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloakroom::Token;
use serde::Serialize;

use super::places::Place;
use super::user::User;
use crate::process::{Core, stay_on};

const WRITERS: usize = 16;
/// How long they write before the server is killed, while it is gone, and once it is back.
const BEFORE: Duration = Duration::from_millis(1500);
const GONE: Duration = Duration::from_secs(2);
/// How long the store may take until it is back.
const BOUND: Duration = Duration::from_secs(60);
/// How long a writer waits after a refusal, as a client does.
const PAUSE: Duration = Duration::from_millis(20);

/// What an outage has cost.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Outage {
    /// Writes that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Of those, how many sessions show an older one than was acknowledged last.
    pub(crate) lost: u64,
    /// Writes that were refused, or whose outcome is unknown.
    pub(crate) refused: u64,
    /// The longest that a writer has waited for its answer, in milliseconds.
    pub(crate) longest_ms: f64,
    /// From when the server was there again until all writers were served, in milliseconds.
    pub(crate) back_ms: f64,
}

/// One writer's account.
#[derive(Default)]
struct Account {
    acknowledged: u64,
    refused: u64,
    /// The last that was acknowledged.
    last: u64,
    longest: Duration,
    /// When it was first served after the server was there again.
    back: Option<Instant>,
}

/// Measures an outage.
///
/// # Errors
///
/// Where the store does not come back.
pub(crate) async fn measure(place: &mut Place) -> io::Result<Outage> {
    let url = place.url().ok_or_else(|| io::Error::other("there is no server"))?;
    let (user, _) = User::connect(&url, true).await?;
    let (is_back, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (mut tokens, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..WRITERS {
        let token = user.create().await?;
        tokens.push(token.clone());
        let (is_back, stop) = (Arc::clone(&is_back), Arc::clone(&stop));
        writers.push(tokio::spawn(write(user.clone(), token, is_back, stop)));
    }
    tokio::time::sleep(BEFORE).await;
    place.kill();
    tokio::time::sleep(GONE).await;
    stay_on(Core::Load)?;
    place.restart().await;
    stay_on(Core::Server)?;
    let up = Instant::now();
    is_back.store(true, Ordering::SeqCst);
    let mut outage = Outage::default();
    let mut accounts = Vec::new();
    for writer in writers {
        let account = tokio::time::timeout(BOUND, writer).await;
        let account = account.map_err(|_| io::Error::other("the store does not come back"))?;
        accounts.push(account.map_err(io::Error::other)?);
    }
    stop.store(true, Ordering::SeqCst);
    let (plain, _) = User::connect(&url, false).await?;
    for (token, account) in tokens.iter().zip(&accounts) {
        outage.acknowledged += account.acknowledged;
        outage.refused += account.refused;
        outage.longest_ms = outage.longest_ms.max(account.longest.as_secs_f64() * 1e3);
        let back = account.back.map_or(Duration::ZERO, |back| back.saturating_duration_since(up));
        outage.back_ms = outage.back_ms.max(back.as_secs_f64() * 1e3);
        outage.lost += u64::from(plain.step(token).await? < account.last);
    }
    Ok(outage)
}

/// Writes a growing number until it has been served again after the outage.
async fn write(
    user: User,
    token: Token,
    is_back: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> Account {
    let mut account = Account::default();
    for step in 1.. {
        let was_back = is_back.load(Ordering::SeqCst);
        let began = Instant::now();
        let written = user.write(&token, step).await;
        account.longest = account.longest.max(began.elapsed());
        match written {
            Ok(()) => {
                (account.acknowledged, account.last) = (account.acknowledged + 1, step);
                if was_back {
                    account.back = Some(Instant::now());
                    break;
                }
            }
            Err(_) => {
                account.refused += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
        if stop.load(Ordering::SeqCst) {
            break;
        }
        tokio::task::yield_now().await;
    }
    account
}
