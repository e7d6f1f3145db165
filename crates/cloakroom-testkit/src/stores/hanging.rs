//! A store that can be made to answer nothing.

use std::sync::Arc;

use async_trait::async_trait;
use cloakroom_core::Store;
use cloakroom_core::store::Result;
use tokio::sync::watch;

use super::{Call, Intercept, Wrapped};

/// A store whose calls do not complete while it hangs.
pub type Hanging = Wrapped<Switch>;

/// Whether the store hangs, and how many calls wait. It does not yet.
#[derive(Debug, Default)]
pub struct Switch {
    hangs: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Hanging {
    /// A store that does not hang yet.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self::around(inner, Switch::default())
    }

    /// Lets calls hang from now on, before they reach the store.
    pub fn hang(&self) {
        self.intercept.hangs.send_replace(true);
    }

    /// Lets the calls that hang go on, and those to come.
    pub fn release(&self) {
        self.intercept.hangs.send_replace(false);
    }

    /// Completes when at least so many calls hang.
    pub async fn waiting(&self, calls: usize) {
        let mut waiting = self.intercept.waiting.subscribe();
        let _ = waiting.wait_for(|count| *count >= calls).await;
    }
}

/// Counts a call that hangs, also where it is dropped meanwhile.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[async_trait]
impl Intercept for Switch {
    type Around = ();

    async fn before(&self, _call: Call) -> Result<()> {
        let mut hangs = self.hangs.subscribe();
        if *hangs.borrow_and_update() {
            let _waiting = Waiting::new(&self.waiting);
            let _ = hangs.wait_for(|hangs| !hangs).await;
        }
        Ok(())
    }
}
