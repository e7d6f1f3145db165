//! Bodies on their way: streamed as they come, within their limits.

mod download;
mod upload;

pub(super) use download::Download;
pub(super) use upload::{Cut, Progress, Upload};

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Measures how long nothing comes. Costs nothing while something does.
#[derive(Debug)]
struct Stall {
    most: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    const fn new(most: Duration) -> Self {
        Self { most, timer: None }
    }

    /// Something came.
    fn end(&mut self) {
        self.timer = None;
    }

    /// Nothing came; ready once that lasts too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer =
            self.timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + self.most)));
        timer.as_mut().poll(cx)
    }
}
