//! Where the gateway's keys come from, and how often they are asked for.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_jwt::KeySet;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How long keys are used before they are fetched again: a key that was withdrawn is refused after this.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// The least time between two fetches. Anybody can name a key that there is not.
const BETWEEN: Duration = Duration::from_secs(5);
/// The least time between two fetches while there are no keys at all.
const BETWEEN_FIRST: Duration = Duration::from_secs(1);
/// Either doubles with each fetch that fails after another, to this at most.
const LONGEST_BETWEEN: Duration = Duration::from_secs(30);
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
    fetch: Arc<dyn FetchKeys>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    history: History,
    /// The fetch that is under way: there is one at a time.
    fetching: Option<Fetching>,
}

/// A fetch that is under way. Its sender is dropped when it is over, however it ends.
type Fetching = watch::Receiver<()>;

/// When was fetched, and what came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct History {
    /// When the last fetch was over.
    tried: Option<Instant>,
    /// When the last one began that brought keys.
    succeeded: Option<Instant>,
    /// How many have failed since.
    failures: u32,
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
        Self { fetch: Arc::new(fetch), state: Arc::default() }
    }

    /// The keys, fetched where it is time for it; `None` where there are none.
    pub(crate) async fn keys(&self, why: Why) -> Option<Arc<KeySet>> {
        if let Some(mut fetching) = self.fetching(why) {
            // Nothing is ever sent: it is over when its sender is gone.
            let _ = fetching.changed().await;
        }
        lock(&self.state).keys.clone()
    }

    /// The fetch that has to be waited for, begun where it is time for one.
    fn fetching(&self, why: Why) -> Option<Fetching> {
        let mut state = lock(&self.state);
        // A fetch that was dropped half-way, or has panicked, is over as well.
        if let Some(fetching) = state.fetching.take_if(|fetching| fetching.has_changed().is_err()) {
            drop(fetching);
            state.history.failed(Instant::now());
        }
        if let Some(fetching) = &state.fetching {
            // Keys that are only old are good enough while somebody else fetches.
            let is_enough = state.keys.is_some() && why == Why::Use;
            return (!is_enough).then(|| fetching.clone());
        }
        let now = Instant::now();
        if !state.history.is_due(why, now) {
            return None;
        }
        let (over, fetching) = watch::channel(());
        state.fetching = Some(fetching.clone());
        let (fetch, state) = (Arc::clone(&self.fetch), Arc::clone(&self.state));
        // A task of its own: it goes on for the others where the request that began it is given up.
        tokio::spawn(async move {
            let fetched = fetch_from(&*fetch).await;
            lock(&state).note(fetched, now);
            drop(over);
        });
        Some(fetching)
    }
}

impl State {
    /// Notes what came of a fetch that was begun at `began`.
    fn note(&mut self, fetched: Option<KeySet>, began: Instant) {
        self.fetching = None;
        match fetched {
            Some(keys) => {
                self.keys = Some(Arc::new(keys));
                let tried = Some(Instant::now());
                self.history = History { tried, succeeded: Some(began), failures: 0 };
            }
            None => self.history.failed(Instant::now()),
        }
    }
}

/// What was fetched and makes sense.
async fn fetch_from(fetch: &dyn FetchKeys) -> Option<KeySet> {
    let fetched = match timeout(PATIENCE, fetch.fetch()).await {
        Ok(fetched) => fetched,
        Err(late) => Err(late.into()),
    };
    let keys = fetched.and_then(|text| Ok(KeySet::parse(&text)?));
    keys.inspect_err(|error| {
        tracing::warn!(error = &**error as &dyn Error, "the gateway's keys cannot be fetched");
    })
    .ok()
}

impl History {
    fn failed(&mut self, now: Instant) {
        self.tried = Some(now);
        self.failures = self.failures.saturating_add(1);
    }

    /// Whether it is time for a fetch.
    fn is_due(self, why: Why, now: Instant) -> bool {
        let ago =
            |instant: Option<Instant>| instant.map(|then| now.saturating_duration_since(then));
        let (tried, succeeded) = (ago(self.tried), ago(self.succeeded));
        let times = 1_u32.checked_shl(self.failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let wait = |pause: Duration| pause.saturating_mul(times).min(LONGEST_BETWEEN);
        let rested = |pause| tried.is_none_or(|ago| ago >= wait(pause));
        match (why, succeeded) {
            (_, None) => rested(BETWEEN_FIRST),
            (Why::Unknown, _) => rested(BETWEEN),
            (Why::Use, Some(ago)) => ago >= FRESH && rested(BETWEEN),
        }
    }
}

/// Nothing panics under this lock.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = lock(&self.state).keys.clone();
        f.debug_struct("Source").field("keys", &keys).finish_non_exhaustive()
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
        let mut failed = never;
        failed.failed(start);
        assert!(!failed.is_due(Why::Use, start) && !failed.is_due(Why::Unknown, start));
        assert!(failed.is_due(Why::Use, at(1)));
        let fresh = History { tried: Some(start), succeeded: Some(start), failures: 0 };
        assert!(!fresh.is_due(Why::Unknown, at(4)) && fresh.is_due(Why::Unknown, at(5)));
        assert!(!fresh.is_due(Why::Use, at(299)) && fresh.is_due(Why::Use, at(300)));
        let failing = History { tried: Some(at(300)), failures: 1, ..fresh };
        assert!(!failing.is_due(Why::Use, at(304)) && failing.is_due(Why::Use, at(305)));
    }

    #[test]
    fn who_fails_is_asked_less_and_less_often() {
        let start = Instant::now() + FRESH;
        let cases =
            [(None, [1, 2, 4, 8, 16, 30, 30]), (Some(start - FRESH), [5, 10, 20, 30, 30, 30, 30])];
        for (succeeded, pauses) in cases {
            let mut history = History { tried: None, succeeded, failures: 0 };
            for pause in pauses {
                history.failed(start);
                let at = |seconds| start + Duration::from_secs(seconds);
                for why in [Why::Use, Why::Unknown] {
                    assert!(!history.is_due(why, at(pause - 1)), "{pause}");
                    assert!(history.is_due(why, at(pause)), "{pause}");
                }
            }
            let for_ever = History { failures: u32::MAX, ..history };
            assert!(for_ever.is_due(Why::Use, start + LONGEST_BETWEEN));
        }
    }
}
