//! The feed: one change stream, which is a source from its first heartbeat on.
//!
//! A change stream tells of what a majority of the servers has, in the order in which it was
//! written, on whichever server is the one to write. A heartbeat is a document of this node's that
//! is written anew, and is answered when the stream tells of that: so it comes after every change
//! that was acknowledged before it was asked for, and from nobody who has lost the right to write.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cloakroom_core::Key;
use cloakroom_core::store::{Error, Feed, FeedSource as Source, Notice, Notices, Result};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::fault;
use crate::own::{Own, Owned};
use crate::stream;
use crate::table::Table;

/// Watches the collection for as long as somebody listens. Stops when it is dropped.
pub(crate) struct Watching {
    shared: Arc<Shared>,
    runtime: Handle,
}

/// What a watcher and its callers share.
pub(crate) struct Shared {
    pub(crate) table: Table,
    /// The name of the document that this node's heartbeats write.
    pub(crate) beat: String,
    pub(crate) own: Arc<Own>,
    /// How many have asked for a heartbeat.
    asked: AtomicU64,
    written: tokio::sync::Mutex<Written>,
    state: Mutex<State>,
}

/// The last heartbeat that was written.
#[derive(Default)]
struct Written {
    number: u64,
    /// How many had asked before it was.
    for_those: u64,
}

#[derive(Default)]
struct State {
    notices: Option<Arc<dyn Notices>>,
    up: Option<Up>,
    watcher: Option<AbortHandle>,
    /// Counts watchers. What an earlier one has to tell is told to nobody.
    turn: u64,
}

/// A source that is up.
struct Up {
    source: Source,
    /// The last heartbeat that came back.
    heard: watch::Receiver<u64>,
}

/// There is no such source any more.
#[derive(Debug, thiserror::Error)]
#[error("this change stream of the MongoDB server is over")]
struct Over;

impl Watching {
    /// Watches nothing yet. Called where there is a runtime.
    pub(crate) fn new(table: Table, beat: String) -> Self {
        let shared = Shared {
            table,
            beat,
            own: Arc::default(),
            asked: AtomicU64::new(0),
            written: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        };
        Self { shared: Arc::new(shared), runtime: Handle::current() }
    }

    /// Notes that this node is about to write `revision`.
    pub(crate) fn own(&self, revision: i64) -> Owned {
        Own::begin(&self.shared.own, revision)
    }

    /// Has another watcher begin, and the one before stop.
    fn restart(&self, state: &mut State) {
        state.let_go();
        let watching = stream::watch(Arc::clone(&self.shared), state.turn);
        state.watcher = Some(self.runtime.spawn(watching).abort_handle());
    }
}

impl State {
    /// Whoever listens hears that the source is down before there is another one.
    fn let_go(&mut self) {
        self.turn += 1;
        if let Some(watcher) = self.watcher.take() {
            watcher.abort();
        }
        self.come_down();
    }

    fn come_down(&mut self) {
        if let (Some(up), Some(notices)) = (self.up.take(), &self.notices) {
            notices.hear(Notice::Down(up.source));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of a new source, whose heartbeats `heard` counts.
    pub(crate) fn come_up(&self, turn: u64, heard: watch::Receiver<u64>) {
        let mut state = self.state();
        if state.turn == turn
            && let Some(notices) = state.notices.clone()
        {
            let source = Source::unique();
            state.up = Some(Up { source, heard });
            notices.hear(Notice::Up(source));
        }
    }

    /// Tells that the source is no more.
    pub(crate) fn come_down(&self, turn: u64) {
        let mut state = self.state();
        if state.turn == turn {
            state.come_down();
        }
    }

    /// Tells of a change.
    pub(crate) fn changed(&self, turn: u64, key: Key) {
        let state = self.state();
        if let Some(notices) = state.notices.as_ref().filter(|_| state.turn == turn) {
            notices.hear(Notice::Changed(key));
        }
    }

    /// Has a heartbeat be written after this was asked, and returns its number. Those who ask
    /// while one is being written share the next.
    pub(crate) async fn write_beat(&self) -> Result<u64> {
        let own = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let write = async {
            let mut written = self.written.lock().await;
            if written.for_those < own {
                let for_those = self.asked.load(Ordering::SeqCst);
                // A number that was given up may be written all the same, and is not used again.
                written.number += 1;
                stream::write_beat(&self.table, &self.beat, written.number).await?;
                written.for_those = for_those;
            }
            Ok(written.number)
        };
        timeout(self.table.limit, write).await.map_err(|_| fault::slow())?
    }
}

#[async_trait]
impl Feed for Watching {
    fn follow(&self, notices: Arc<dyn Notices>) {
        let mut state = self.shared.state();
        state.come_down();
        state.notices = Some(notices);
        self.restart(&mut state);
    }

    fn source(&self, _key: Key) -> Option<Source> {
        self.shared.state().up.as_ref().map(|up| up.source)
    }

    async fn beat(&self, source: Source) -> Result<()> {
        let over = || Error::Unreachable(Over.into());
        let mut heard = {
            let state = self.shared.state();
            let up = state.up.as_ref().filter(|up| up.source == source);
            up.ok_or_else(over)?.heard.clone()
        };
        let number = self.shared.write_beat().await?;
        let comes_back = heard.wait_for(|heard| *heard >= number);
        let came = timeout(self.shared.table.limit, comes_back).await.map_err(|_| fault::slow())?;
        came.map(drop).map_err(|_| over())
    }

    fn reset(&self, source: Source) {
        let mut state = self.shared.state();
        if state.up.as_ref().is_some_and(|up| up.source == source) {
            self.restart(&mut state);
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.shared.state().let_go();
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watching({:?})", self.shared.table)
    }
}
