//! A store that counts what is asked of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cloakroom_core::Store;
use cloakroom_core::store::Result;

use super::{Call, Intercept, Wrapped};

/// A store that counts calls, failed and dropped ones included.
pub type Counting = Wrapped<Count>;

/// How often each thing was asked.
#[derive(Debug, Default)]
pub struct Count(Mutex<BTreeMap<Call, usize>>);

impl Counting {
    /// Counts the calls to `inner`.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self::around(inner, Count::default())
    }

    /// How often `call` was asked so far.
    pub fn count(&self, call: Call) -> usize {
        self.intercept.counts().get(&call).copied().unwrap_or(0)
    }

    /// How often anything was asked so far.
    pub fn total(&self) -> usize {
        self.intercept.counts().values().sum()
    }

    /// Begins to count anew, and returns what was counted.
    pub fn take(&self) -> BTreeMap<Call, usize> {
        std::mem::take(&mut *self.intercept.counts())
    }
}

impl Count {
    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<Call, usize>> {
        self.0.lock().expect("nobody panics while counting")
    }
}

#[async_trait]
impl Intercept for Count {
    type Around = ();

    async fn before(&self, call: Call) -> Result<()> {
        *self.counts().entry(call).or_default() += 1;
        Ok(())
    }
}
