//! How long nothing may come, or be taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// Measures how long nothing goes on. Costs nothing while something does.
#[derive(Debug)]
pub(crate) struct Stall {
    most: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    pub(crate) const fn new(most: Duration) -> Self {
        Self { most, timer: None }
    }

    /// It goes on.
    pub(crate) fn end(&mut self) {
        self.timer = None;
    }

    /// It does not; ready once that lasts too long.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let most = self.most;
        self.timer.get_or_insert_with(|| Box::pin(sleep(most))).as_mut().poll(cx)
    }

    /// Limits how long `written` may be pending; `late` says what is then wrong.
    pub(crate) fn limit<R>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<R>>,
        late: impl FnOnce(Duration) -> io::Error,
    ) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.end();
            return written;
        }
        self.poll(cx).map(|()| Err(late(self.most)))
    }
}
