//! A store that fails its n-th call: before it acts, or after.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloakroom_core::Store;
use cloakroom_core::store::Result;

use super::{Call, Intercept, Wrapped, lost, unreached};

/// A store that fails one call of many.
pub type Failing = Wrapped<Plan>;

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fail {
    /// The store is not asked: [`unreached`].
    Before,
    /// The store acts, and its answer is lost: [`lost`].
    After,
}

/// Which call is to fail.
#[derive(Debug, Default)]
pub struct Plan(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How many calls go well until then, how that one fails, and which calls are counted.
    next: Option<(usize, Fail, Option<Call>)>,
    failed: usize,
}

impl Failing {
    /// A store that fails nothing yet.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self::around(inner, Plan::default())
    }

    /// Fails the `n`-th call from now, counted from 1, once.
    pub fn fail(&self, n: usize, fail: Fail) {
        self.plan(n, fail, None);
    }

    /// Fails the `n`-th `call` from now, counted from 1, once.
    pub fn fail_call(&self, call: Call, n: usize, fail: Fail) {
        self.plan(n, fail, Some(call));
    }

    /// How many calls have failed so far. One whose answer is lost counts once the store has acted.
    pub fn failed(&self) -> usize {
        self.intercept.state().failed
    }

    fn plan(&self, n: usize, fail: Fail, call: Option<Call>) {
        assert!(n > 0, "calls are counted from 1");
        self.intercept.state().next = Some((n - 1, fail, call));
    }
}

impl Plan {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics while planning")
    }
}

impl State {
    /// How this call fails; `None` where it goes well.
    fn turn(&mut self, call: Call) -> Option<Fail> {
        let (left, fail, only) = self.next?;
        if only.is_some_and(|only| only != call) {
            return None;
        }
        if left > 0 {
            self.next = Some((left - 1, fail, only));
            return None;
        }
        self.next = None;
        self.failed += usize::from(fail == Fail::Before);
        Some(fail)
    }
}

#[async_trait]
impl Intercept for Plan {
    type Around = bool;

    async fn before(&self, call: Call) -> Result<bool> {
        match self.state().turn(call) {
            None => Ok(false),
            Some(Fail::After) => Ok(true),
            Some(Fail::Before) => Err(unreached()),
        }
    }

    async fn after(&self, _call: Call, is_lost: bool) -> Result<()> {
        if is_lost {
            self.state().failed += 1;
            return Err(lost());
        }
        Ok(())
    }
}
