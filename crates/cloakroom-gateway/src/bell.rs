//! A timer whose deadline moves on: for waits that nearly always end before it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Rings at a deadline that every wait sets anew. The timer below is not set with each of them, but
/// when it rings too early.
#[derive(Debug, Default)]
pub(crate) struct Bell(Option<Pin<Box<Sleep>>>);

impl Bell {
    /// Ready at the deadline.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_deadline_of_the_wait_and_at_no_other() {
        let mut bell = Bell::default();
        let mut nobody = Context::from_waker(Waker::noop());
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(bell.poll(&mut nobody, at(10)).is_pending());
        advance(Duration::from_secs(9)).await;
        assert!(bell.poll(&mut nobody, at(19)).is_pending(), "a later wait");
        poll_fn(|cx| bell.poll(cx, at(19))).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(19));
        poll_fn(|cx| bell.poll(cx, at(20))).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(20), "it rings again");
        assert!(bell.poll(&mut nobody, at(60)).is_pending());
        poll_fn(|cx| bell.poll(cx, at(30))).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(30), "one that is to end sooner");
    }
}
