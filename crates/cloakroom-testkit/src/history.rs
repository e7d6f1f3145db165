//! What many clients did to sessions on several nodes, and what they were told: recorded, and held
//! to what was promised them.
//!
//! Every session counts its additions, and each addition leaves its mark in the same commit: a
//! count names one addition. Each client has a note of its own beside, written without a look.

mod check;
mod clients;
mod feds;
mod nodes;
mod trouble;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::{Key, Record, Timer};

use crate::TokioTimer;
pub use check::{Counts, Promised, check};
pub use clients::{Plan, play};
pub use feds::{Faults, TokioClock, simulate};
pub use nodes::Node;
pub use trouble::{Mortal, survive};

/// The number of additions, and the mark of the last one.
pub(crate) const COUNT: &str = "count";
pub(crate) const MARK: &str = "mark";

/// When something happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment {
    /// In which order.
    pub order: u64,
    /// On a clock that never goes back.
    pub at: Duration,
}

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// To see the session.
    Read,
    /// To count one more, and to leave this mark.
    Add(u64),
    /// To write this into the client's own note.
    Note(u64),
    /// To be signed in.
    LogIn,
    /// To be logged out.
    LogOut,
    /// To end the session by its key, as an administrator.
    End,
}

/// What a client sees of a session.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Seen {
    /// How many additions there were.
    pub count: u64,
    /// The mark of the last one.
    pub mark: u64,
    /// The client's own note; 0 where there is none.
    pub note: u64,
}

/// What a client is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It was done, or read: how the session is then.
    Done(Seen),
    /// The session is over.
    Over,
    /// There is no session that the client's token opens.
    Absent,
    /// It was not done, and will not be.
    NotDone,
    /// Nobody knows; also where the client gave up, or was never told.
    Unknown,
}

/// One request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// Whose.
    pub client: usize,
    /// Whether the client returns its fence.
    pub fenced: bool,
    /// To which node.
    pub node: usize,
    /// Of which session; `None` where a new one was to begin and nobody was told of it.
    pub session: Option<u64>,
    /// The order of the moment at which its token was handed out.
    pub token_of: u64,
    /// For what.
    pub work: Work,
    /// When it was asked.
    pub asked: Moment,
    /// When it was answered, or given up.
    pub told: Moment,
    /// What the answer was.
    pub answer: Answer,
}

/// What there is in the end, when nothing is on its way any more.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Left {
    /// How many additions there were.
    pub count: u64,
    /// The mark of the last one.
    pub mark: u64,
    /// Every client's note.
    pub notes: BTreeMap<usize, u64>,
}

/// Everything that happened.
#[derive(Clone, Default, Debug)]
pub struct History {
    /// The requests, as they were answered.
    pub requests: Vec<Request>,
    /// What the store has in the end.
    pub stored: BTreeMap<u64, Option<Left>>,
    /// What each node shows in the end.
    pub shown: Vec<BTreeMap<u64, Option<Left>>>,
}

/// Where requests are written down. Clones write into the same book.
#[derive(Clone, Default, Debug)]
pub struct Recorder(Arc<Mutex<Book>>);

#[derive(Default, Debug)]
struct Book {
    order: u64,
    sessions: Vec<Key>,
    history: History,
}

impl Recorder {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, after everything before.
    pub fn now(&self) -> Moment {
        let mut book = self.book();
        book.order += 1;
        Moment { order: book.order, at: TokioTimer.elapsed() }
    }

    /// The number of a session.
    pub fn number(&self, key: Key) -> u64 {
        let sessions = &mut self.book().sessions;
        let at = sessions.iter().position(|known| *known == key).unwrap_or_else(|| {
            sessions.push(key);
            sessions.len() - 1
        });
        at as u64
    }

    /// The sessions that have numbers.
    pub fn sessions(&self) -> Vec<Key> {
        self.book().sessions.clone()
    }

    /// Writes a request down.
    pub fn note(&self, request: Request) {
        self.book().history.requests.push(request);
    }

    /// What was written down so far.
    pub fn history(&self) -> History {
        self.book().history.clone()
    }
}

impl Left {
    /// What a record has.
    pub fn of(record: &Record) -> Self {
        let number = |name: &str| -> u64 {
            let field = record.fields.get(name);
            field.map_or(0, |field| serde_json::from_slice(&field.bytes).expect("a number"))
        };
        let noted = record.fields.keys().filter_map(|name| {
            let client = name.strip_prefix("note")?.parse().ok()?;
            Some((client, number(name)))
        });
        Self { count: number(COUNT), mark: number(MARK), notes: noted.collect() }
    }
}
