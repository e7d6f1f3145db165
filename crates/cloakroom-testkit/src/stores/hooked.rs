//! A store in the middle of whose calls something else happens.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use cloakroom_core::Store;
use cloakroom_core::store::Result;

use super::{Call, Intercept, Wrapped};

/// A store that runs given futures around its calls: what happens, at a chosen moment, in the
/// middle of somebody's request. An error from one is that caller's answer.
pub type Hooked = Wrapped<Hooks>;

/// What happens around which calls.
#[derive(Debug, Default)]
pub struct Hooks(Mutex<Vec<Hook>>);

type Happening = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

struct Hook {
    call: Call,
    /// How many calls go by without it.
    left: usize,
    when: When,
    happening: Happening,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    Before,
    After,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}, {} calls from now", self.when, self.call, self.left)
    }
}

impl Hooked {
    /// A store around whose calls nothing happens yet.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self::around(inner, Hooks::default())
    }

    /// Has `happening` run before the `n`-th `call` from now, counted from 1, once. Its error
    /// keeps the store from being asked.
    pub fn before(
        &self,
        call: Call,
        n: usize,
        happening: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        self.add(call, n, When::Before, Box::pin(happening));
    }

    /// Has `happening` run after the `n`-th `call` from now, counted from 1, once. The store has
    /// acted then; an error takes the place of its answer. A call that the store fails counts, and
    /// nothing happens after it.
    pub fn after(
        &self,
        call: Call,
        n: usize,
        happening: impl Future<Output = Result<()>> + Send + 'static,
    ) {
        self.add(call, n, When::After, Box::pin(happening));
    }

    /// What has not happened yet; for the message of an assertion.
    pub fn left(&self) -> Vec<String> {
        self.intercept.hooks().iter().map(|hook| format!("{hook:?}")).collect()
    }

    fn add(&self, call: Call, n: usize, when: When, happening: Happening) {
        assert!(n > 0, "calls are counted from 1");
        self.intercept.hooks().push(Hook { call, left: n - 1, when, happening });
    }
}

impl Hooks {
    fn hooks(&self) -> MutexGuard<'_, Vec<Hook>> {
        self.0.lock().expect("nobody panics while hooking")
    }

    /// Counts a call; what has to happen around it now.
    fn turn(&self, call: Call) -> Vec<Hook> {
        let mut hooks = self.hooks();
        let is_due = |hook: &mut Hook| hook.call == call && hook.left == 0;
        let due = hooks.extract_if(.., is_due).collect();
        for hook in hooks.iter_mut().filter(|hook| hook.call == call) {
            hook.left -= 1;
        }
        due
    }
}

#[async_trait]
impl Intercept for Hooks {
    type Around = Vec<Happening>;

    async fn before(&self, call: Call) -> Result<Vec<Happening>> {
        let mut late = Vec::new();
        for hook in self.turn(call) {
            match hook.when {
                When::Before => hook.happening.await?,
                When::After => late.push(hook.happening),
            }
        }
        Ok(late)
    }

    async fn after(&self, _call: Call, late: Vec<Happening>) -> Result<()> {
        for happening in late {
            happening.await?;
        }
        Ok(())
    }
}
