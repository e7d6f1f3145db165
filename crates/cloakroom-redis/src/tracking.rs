//! What a server tells of changed keys, as notices: its pushes, once a connection is tracked.
//!
//! A server in its default tracking mode remembers which keys a connection has read, and tells it
//! once when one of them is changed by another connection (`NOLOOP`). The driver hands pushes and
//! answers on in the order in which they came, in one task: a push that came before an answer has
//! been told before anybody sees the answer.

use std::fmt;
use std::sync::{Arc, OnceLock};

use cloakroom_core::store::{FeedSource as Source, Notice, Notices};
use redis::{Cmd, PushInfo, PushKind, Value};

use crate::layout::Layout;

/// A tracked connection: what it goes by, and who hears of it.
#[derive(Clone)]
pub(crate) struct Up {
    pub(crate) source: Source,
    notices: Arc<dyn Notices>,
}

/// Where the pushes of one connection go, once it is tracked.
pub(crate) type Ears = Arc<OnceLock<Up>>;

impl Up {
    /// Tells that a new source is up.
    pub(crate) fn tell(notices: Arc<dyn Notices>) -> Self {
        let source = Source::unique();
        notices.hear(Notice::Up(source));
        Self { source, notices }
    }

    /// Tells that it is up no more.
    pub(crate) fn tell_down(self) {
        self.notices.hear(Notice::Down(self.source));
    }

    /// Tells what a push says. Names that are none of our records are passed over.
    pub(crate) fn hear(&self, push: &PushInfo, layout: &Layout) {
        if push.kind != PushKind::Invalidate {
            return;
        }
        match push.data.first() {
            Some(Value::Array(names)) => {
                for key in names.iter().filter_map(|name| layout.key_of(text(name)?)) {
                    self.notices.hear(Notice::Changed(key));
                }
            }
            // The server was emptied, or cannot tell any more what was changed.
            _ => self.notices.hear(Notice::Flushed(self.source)),
        }
    }
}

impl fmt::Debug for Up {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Up({:?})", self.source)
    }
}

fn text(name: &Value) -> Option<&[u8]> {
    match name {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// Asks a server to tell of every change of what this connection reads from now on.
pub(crate) fn ask() -> Cmd {
    let mut command = Cmd::new();
    command.arg("CLIENT").arg("TRACKING").arg("ON").arg("NOLOOP");
    command
}
