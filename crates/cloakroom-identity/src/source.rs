//! Where the gateway's keys come from, and how often they are asked for.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_jwt::KeySet;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long keys are used before they are fetched again: a key that was withdrawn is refused after this.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// The least time between two fetches. Anybody can name a key that there is not.
const BETWEEN: Duration = Duration::from_secs(5);
/// The least time between two fetches while there are no keys at all.
const BETWEEN_FIRST: Duration = Duration::from_secs(1);
/// How long a fetch may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Fetches the gateway's public keys.
#[async_trait]
pub trait FetchKeys: Send + Sync + 'static {
    /// Fetches the keys as a JSON Web Key Set. Reads no more than
    /// [`LONGEST_JWKS`](cloakroom_jwt::LONGEST_JWKS) bytes.
    async fn fetch(&self) -> Result<String, BoxError>;
}

/// Keys that are fetched, and fetched again.
pub(crate) struct Source {
    fetch: Box<dyn FetchKeys>,
    keys: RwLock<Option<Arc<KeySet>>>,
    /// Held while a fetch is under way: there is one at a time.
    history: Mutex<History>,
}

/// When was fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct History {
    tried: Option<Instant>,
    succeeded: Option<Instant>,
}

/// Why keys are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// To verify with.
    Use,
    /// An assertion names one that is not among them.
    Unknown,
}

impl Source {
    pub(crate) fn new(fetch: impl FetchKeys) -> Self {
        Self { fetch: Box::new(fetch), keys: RwLock::default(), history: Mutex::default() }
    }

    /// The keys, fetched where it is time for it; `None` where there are none.
    pub(crate) async fn keys(&self, why: Why) -> Option<Arc<KeySet>> {
        let held = self.held();
        let history = match (&held, why) {
            // Keys that are only old are good enough while somebody else fetches.
            (Some(_), Why::Use) => self.history.try_lock().ok(),
            _ => Some(self.history.lock().await),
        };
        let Some(mut history) = history else { return held };
        let now = Instant::now();
        if !history.is_due(why, now) {
            // Somebody else may have fetched while we waited for our turn.
            return self.held();
        }
        history.tried = Some(now);
        if let Some(keys) = self.fetch().await {
            history.succeeded = Some(now);
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
        }
        self.held()
    }

    fn held(&self) -> Option<Arc<KeySet>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was fetched and makes sense. Else the keys stay as they were.
    async fn fetch(&self) -> Option<KeySet> {
        let fetched = match timeout(PATIENCE, self.fetch.fetch()).await {
            Ok(fetched) => fetched,
            Err(late) => Err(late.into()),
        };
        let keys = fetched.and_then(|text| Ok(KeySet::parse(&text)?));
        keys.inspect_err(|error| {
            tracing::warn!(error = &**error as &dyn Error, "the gateway's keys cannot be fetched");
        })
        .ok()
    }
}

impl History {
    /// Whether it is time for a fetch.
    fn is_due(self, why: Why, now: Instant) -> bool {
        let ago =
            |instant: Option<Instant>| instant.map(|then| now.saturating_duration_since(then));
        let (tried, succeeded) = (ago(self.tried), ago(self.succeeded));
        let rested = |pause| tried.is_none_or(|ago| ago >= pause);
        match (why, succeeded) {
            (_, None) => rested(BETWEEN_FIRST),
            (Why::Unknown, _) => rested(BETWEEN),
            (Why::Use, Some(ago)) => ago >= FRESH && rested(BETWEEN),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("keys", &self.held()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_are_bounded() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let never = History::default();
        assert!(never.is_due(Why::Use, start));
        let failed = History { tried: Some(start), succeeded: None };
        assert!(!failed.is_due(Why::Use, start) && !failed.is_due(Why::Unknown, start));
        assert!(failed.is_due(Why::Use, at(1)));
        let fresh = History { tried: Some(start), succeeded: Some(start) };
        assert!(!fresh.is_due(Why::Unknown, at(4)) && fresh.is_due(Why::Unknown, at(5)));
        assert!(!fresh.is_due(Why::Use, at(299)) && fresh.is_due(Why::Use, at(300)));
        let failing = History { tried: Some(at(300)), succeeded: Some(start) };
        assert!(!failing.is_due(Why::Use, at(304)) && failing.is_due(Why::Use, at(305)));
    }
}
