//! Setting sessions up.

use std::fmt;
use std::sync::Arc;

use super::{Inner, Sessions};
use crate::event::Listener;
use crate::keeping::Keeping;
use crate::policy::{BadPolicy, Policy};
use crate::store::Store;
use crate::time::{Clock, SystemClock, Timer};

/// Sessions that are being set up.
pub struct Builder {
    store: Arc<dyn Store>,
    timer: Arc<dyn Timer>,
    policy: Policy,
    clock: Arc<dyn Clock>,
    listeners: Vec<Arc<dyn Listener>>,
    keeping: Keeping,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new(store: Arc<dyn Store>, timer: Arc<dyn Timer>) -> Self {
        Self::keeping(Keeping::Stored, store, timer)
    }

    pub(super) fn keeping(keeping: Keeping, store: Arc<dyn Store>, timer: Arc<dyn Timer>) -> Self {
        let clock = Arc::new(SystemClock);
        Self { store, timer, policy: Policy::default(), clock, listeners: Vec::new(), keeping }
    }

    /// Sets the rules that sessions live under.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the clock; without it, the machine's own.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Adds somebody who hears of sessions.
    #[must_use]
    pub fn listener(mut self, listener: impl Listener) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Finishes.
    ///
    /// # Errors
    /// Where a rule of the policy cannot be meant, such as an idle timeout of zero, or seats for
    /// sessions that are sealed.
    pub fn build(self) -> Result<Sessions, BadPolicy> {
        self.policy.check()?;
        self.keeping.check_policy(&self.policy)?;
        let Self { store, timer, policy, clock, listeners, keeping } = self;
        let queues = Arc::new(super::queue::Queues::new());
        let inner = Inner { store, policy, clock, timer, listeners, queues, keeping };
        let inner = Arc::new(inner);
        Ok(Sessions { inner })
    }
}
