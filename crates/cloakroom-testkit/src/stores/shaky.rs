//! A store that fails by chance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::Store;
use cloakroom_core::store::Result;

use super::{Call, Intercept, Wrapped, lost, unreached};
use crate::Dice;

/// A store of whose calls some fail.
pub type Shaky = Wrapped<Mood>;

/// Which of a hundred calls fail, and how.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Chances {
    /// The store is not asked.
    pub before: u64,
    /// The store acts, and its answer is lost.
    pub after: u64,
    /// The store is asked, but only after this.
    pub hang: u64,
}

/// How a store feels.
#[derive(Debug)]
pub struct Mood {
    dice: Dice,
    chances: Mutex<Chances>,
}

/// How long a call hangs: longer than any caller waits.
const HANG: Duration = Duration::from_secs(8);

impl Shaky {
    /// A store that fails nothing yet.
    pub fn new(inner: Arc<dyn Store>, dice: Dice) -> Self {
        Self::around(inner, Mood { dice, chances: Mutex::default() })
    }

    /// Fails so many calls from now on.
    pub fn set(&self, chances: Chances) {
        *self.intercept.chances() = chances;
    }
}

impl Mood {
    fn chances(&self) -> MutexGuard<'_, Chances> {
        self.chances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Intercept for Mood {
    type Around = bool;

    async fn before(&self, _call: Call) -> Result<bool> {
        let chances = *self.chances();
        if self.dice.percent(chances.before) {
            return Err(unreached());
        }
        if self.dice.percent(chances.hang) {
            tokio::time::sleep(HANG).await;
        }
        Ok(self.dice.percent(chances.after))
    }

    async fn after(&self, _call: Call, is_lost: bool) -> Result<()> {
        match is_lost {
            true => Err(lost()),
            false => Ok(()),
        }
    }
}
