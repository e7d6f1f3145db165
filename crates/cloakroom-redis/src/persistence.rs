//! Whether a server keeps sessions on disk: a log, snapshots, or nothing.

use redis::Value;

use crate::about::About;
use crate::fault::Fault;
use crate::link::Link;

/// What a server does so that its data outlives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Persistence {
    /// It writes a log or snapshots.
    OnDisk,
    /// Nothing: it is a cache.
    None,
    /// It does not say.
    Unknown,
}

impl Persistence {
    /// Whether sessions outlive the server, for all that is known.
    pub(crate) fn is_durable(self) -> bool {
        self == Self::OnDisk
    }

    /// Warns where sessions may not outlive the server.
    pub(crate) fn warn(self, address: &str) {
        match self {
            Self::OnDisk => {}
            Self::None => {
                tracing::warn!(%address, "the Redis server keeps nothing on disk: every session ends when it restarts; set `appendonly yes` there to keep them");
            }
            Self::Unknown => {
                tracing::warn!(%address, "the Redis server does not say whether it keeps anything on disk: where it does not, every session ends when it restarts; make sure that `appendonly yes` is set there");
            }
        }
    }
}

/// Finds out what the server does. Its log is asked for first, then when it makes snapshots; many
/// who rent servers out forbid that question, and then snapshots that it has made since its start
/// count.
pub(crate) async fn of(link: &Link, about: &About) -> Result<Persistence, Fault> {
    if about.get("aof_enabled") == Some("1") {
        return Ok(Persistence::OnDisk);
    }
    match link.send(redis::cmd("CONFIG").arg("GET").arg("save")).await {
        Ok(answer) => Ok(setting(&answer).map_or(Persistence::Unknown, snapshots)),
        Err(fault) if fault.said().is_some() => Ok(by_its_past(about)),
        Err(fault) => Err(fault),
    }
}

/// What `save` means: pairs of seconds and changes, or nothing.
fn snapshots(save: &[u8]) -> Persistence {
    match save.trim_ascii() {
        b"" => Persistence::None,
        _ => Persistence::OnDisk,
    }
}

/// How long the last snapshot took is -1 where there was none since the server's start.
fn by_its_past(about: &About) -> Persistence {
    match about.get("rdb_last_bgsave_time_sec") {
        Some(seconds) if !seconds.starts_with('-') => Persistence::OnDisk,
        _ => Persistence::Unknown,
    }
}

/// The value in an answer to CONFIG GET of one name.
fn setting(answer: &Value) -> Option<&[u8]> {
    let value = match answer {
        Value::Map(pairs) => &pairs.first()?.1,
        Value::Array(items) => items.get(1)?,
        _ => return None,
    };
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.as_bytes()),
        _ => None,
    }
}
