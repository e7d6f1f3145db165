//! The connection that hears what PostgreSQL tells: made again whenever it is lost.
//!
//! A heartbeat is a notice to itself, sent over this very connection by a statement that needs
//! leave to write. The server keeps all notices in one queue, in the order of their commits, so
//! when the heartbeat comes back, everything that was committed before has been heard.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::record::CommitId;
use cloakroom_core::store::{Error, FeedSource as Source, Notice, Result};
use cloakroom_core::{Key, Kind};
use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::dialect::{BEAT, CHANNEL, NAME_SERVER};
use crate::fault::Sort;
use crate::feed::{Beat, Connect, Shared};
use crate::options::statement_timeout;
use crate::postgres::sort;

/// The wait after the first failure. It doubles with each that follows, until a heartbeat has come
/// back: that a connection opens does not show that it is of use.
const LEAST_WAIT: Duration = Duration::from_millis(20);
/// How often it doubles: up to a second and a bit.
const DOUBLINGS: u32 = 6;

/// Listens, again and again, until it is aborted.
pub(crate) async fn listen(shared: Arc<Shared>, connect: Arc<Connect>, limit: Duration) {
    let mut failures = 0;
    loop {
        match timeout(limit, Ear::open(&connect, limit)).await {
            Ok(Ok(ear)) => {
                if ear.hear_all(&shared).await {
                    failures = 0;
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "PostgreSQL is not listened to"),
            Err(_) => tracing::debug!("PostgreSQL did not answer when it was to be listened to"),
        }
        sleep(wait(failures)).await;
        failures = DOUBLINGS.min(failures + 1);
    }
}

/// Between half and all of what it is at most, so that nodes that lost a server together do not
/// come back together.
fn wait(failures: u32) -> Duration {
    let most = LEAST_WAIT * 2_u32.pow(failures);
    let chance = CommitId::random().as_bytes().first().copied().unwrap_or_default();
    most / 2 + most.mul_f64(f64::from(chance) / 255.0) / 2
}

/// A connection that listens.
struct Ear {
    listener: PgListener,
    /// Where its own heartbeats come.
    channel: String,
    server: i64,
    /// Whether a heartbeat has come back.
    answered: bool,
}

impl Ear {
    async fn open(connect: &Connect, limit: Duration) -> Result<Self, sqlx::Error> {
        let options = connect().disable_statement_logging();
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(limit);
        let mut listener = PgListener::connect_with(&pool.connect_lazy_with(options)).await?;
        listener.ignore_pool_close_event(true);
        listener.eager_reconnect(false);
        // A heartbeat has nothing to keep, and need not wait for the disk; but its commit waits for
        // others that tell, as every one that tells does.
        let locked = statement_timeout(limit).as_millis();
        let setup = format!("SET synchronous_commit = off; SET lock_timeout = {locked}");
        (&mut listener).execute(AssertSqlSafe(setup)).await?;
        let chance = u64::from_ne_bytes(*CommitId::random().as_bytes());
        let channel = format!("cloakroom_beat_{chance:016x}");
        listener.listen_all([CHANNEL, &channel]).await?;
        let server = sqlx::query_scalar(NAME_SERVER).fetch_one(&mut listener).await?;
        Ok(Self { listener, channel, server, answered: false })
    }

    /// Tells what it hears, until the connection is lost or given up; whether a heartbeat has come
    /// back by then.
    async fn hear_all(mut self, shared: &Shared) -> bool {
        let (beats, mut asked) = mpsc::unbounded_channel();
        let (alive, mut given_up) = oneshot::channel();
        let source = shared.up(self.server, beats, alive);
        tokio::select! {
            heard = self.hear(shared, source, &mut asked) => {
                if let Err(error) = heard {
                    tracing::debug!(%error, "PostgreSQL is not heard any more");
                }
            }
            // Completes when its sender is dropped.
            _ = &mut given_up => {}
        }
        shared.down(source);
        self.answered
    }

    async fn hear(
        &mut self,
        shared: &Shared,
        source: Source,
        asked: &mut mpsc::UnboundedReceiver<Beat>,
    ) -> Result<(), sqlx::Error> {
        let mut sent: VecDeque<(u64, Beat)> = VecDeque::new();
        let mut number = 0;
        loop {
            tokio::select! {
                said = self.listener.try_recv() => match said? {
                    Some(said) if said.channel() == CHANNEL => {
                        let notice = notice(&said).unwrap_or(Notice::Flushed(source));
                        shared.tell(source, notice);
                    }
                    Some(said) => {
                        answer(&mut sent, &said);
                        self.answered = true;
                    }
                    None => return Ok(()),
                },
                Some(beat) = asked.recv() => {
                    number += 1;
                    if let Some(beat) = self.beat(number, beat).await? {
                        sent.push_back((number, beat));
                    }
                }
            }
        }
    }

    /// Sends a heartbeat; `None` where the server has refused it.
    async fn beat(&mut self, number: u64, beat: Beat) -> Result<Option<Beat>, sqlx::Error> {
        let query = sqlx::query(BEAT).bind(self.channel.as_str()).bind(number.to_string());
        match query.execute(&mut self.listener).await {
            Ok(_) => Ok(Some(beat)),
            Err(error) if sort(&error) == Sort::Unknown => Err(error),
            // Also where it waited in vain for others that tell: so would another connection.
            Err(error) => {
                // Whoever asked may have gone.
                let _ = beat.send(Err(Error::Refused(error.into())));
                Ok(None)
            }
        }
    }
}

/// Answers the heartbeats up to the one that has come.
fn answer(sent: &mut VecDeque<(u64, Beat)>, said: &PgNotification) {
    let Ok(come) = said.payload().parse::<u64>() else {
        return;
    };
    while sent.front().is_some_and(|(number, _)| *number <= come) {
        if let Some((_, beat)) = sent.pop_front() {
            let _ = beat.send(Ok(()));
        }
    }
}

fn notice(said: &PgNotification) -> Option<Notice> {
    read(said.payload())
}

/// Reads `<kind><id in hex>`, and the version behind it where there is one. `None` where somebody
/// else has written it, or a newer version.
fn read(payload: &str) -> Option<Notice> {
    let (name, version) = match payload.split_once(' ') {
        Some((name, version)) => (name, Some(version)),
        None => (payload, None),
    };
    let mut letters = name.chars();
    let kind = Kind::from_letter(letters.next()?)?;
    let hex = letters.as_str().as_bytes();
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    let digit =
        |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    let id: Vec<u8> = hex.chunks(2).map(byte).collect::<Option<_>>()?;
    let key = Key::from_bytes(kind, &id)?;
    match version {
        Some(version) => Some(Notice::Reached(key, version.parse().ok()?)),
        None => Some(Notice::Changed(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_names_a_key_and_its_version() {
        let key = Key::random(Kind::Session);
        let hex: String = key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(read(&format!("s{hex} 7")), Some(Notice::Reached(key, 7)));
        assert_eq!(read(&format!("s{hex}")), Some(Notice::Changed(key)));
        for other in ["", "s", "s0", "?00", "sä", &format!("s{hex}0"), &format!("s{hex} -1")] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
