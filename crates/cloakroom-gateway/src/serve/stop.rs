//! Tells everything that serves that it is to end, and balancers beforehand.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;
use tokio::task::unconstrained;

/// Whether this node wants requests. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Whether it does.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }
}

/// Says stop.
#[derive(Debug)]
pub(super) struct Stopping(watch::Sender<bool>);

/// Hears it.
#[derive(Clone, Debug)]
pub(super) struct Stopped(watch::Receiver<bool>);

pub(super) fn signal() -> (Stopping, Stopped) {
    let (sender, receiver) = watch::channel(false);
    (Stopping(sender), Stopped(receiver))
}

impl Stopping {
    pub(super) fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stopped {
    /// Completes once it was said, or nobody is left to say it.
    pub(super) fn wait(self) -> Waiting {
        let mut receiver = self.0.clone();
        let waiting = async move { _ = receiver.wait_for(|stop| *stop).await };
        // Pending is to mean that the task will be woken, never that it is another's turn.
        Waiting { stopped: self, waiting: Box::pin(unconstrained(waiting)), waker: None }
    }
}

/// Waits. A connection looks at it with each of its steps, which costs next to nothing as long as
/// nothing has changed.
pub(super) struct Waiting {
    stopped: Stopped,
    waiting: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The task that is woken.
    waker: Option<Waker>,
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let is_woken = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_woken && self.stopped.0.has_changed().is_ok_and(|changed| !changed) {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        self.waiting.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits, polled by one task and then by another.
    fn moved(stopped: Stopped) -> (Pin<Box<Waiting>>, Arc<Count>) {
        let (mut waiting, second) = (Box::pin(stopped.wait()), Arc::new(Count::default()));
        for waker in [Waker::noop().clone(), Waker::from(Arc::clone(&second))] {
            for _ in 0..2 {
                assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            }
        }
        (waiting, second)
    }

    #[tokio::test]
    async fn whoever_waited_last_is_woken_and_hears_it() {
        let (stopping, stopped) = signal();
        let (mut waiting, task) = moved(stopped);
        stopping.stop();
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        poll_fn(|cx| waiting.as_mut().poll(cx)).await;
    }

    #[tokio::test]
    async fn nobody_waits_for_what_nobody_can_say() {
        let (stopping, stopped) = signal();
        let (mut waiting, task) = moved(stopped);
        drop(stopping);
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        poll_fn(|cx| waiting.as_mut().poll(cx)).await;
    }
}
