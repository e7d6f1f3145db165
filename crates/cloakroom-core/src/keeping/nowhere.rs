//! The store of sealed sessions that have none.

use async_trait::async_trait;

use crate::commit::{Commit, Guard, Outcome};
use crate::event::Ending;
use crate::record::Record;
use crate::store::{Announce, Capabilities, Created, Error, Keep, Result, Store};
use crate::time::Timestamp;
use crate::token::Key;

/// Refuses what would have to be kept, and has nothing to sweep.
#[derive(Debug)]
pub(crate) struct Nowhere;

fn refused<T>() -> Result<T> {
    Err(Error::Refused("sealed sessions have no store; `Sealed::epochs` gives them one".into()))
}

#[async_trait]
impl Store for Nowhere {
    async fn load(&self, _: Key, _: Timestamp) -> Result<Option<Record>> {
        refused()
    }

    async fn create(&self, _: Key, _: &Record, _: Option<usize>, _: Timestamp) -> Result<Created> {
        refused()
    }

    async fn commit(&self, _: Key, _: &Commit, _: Timestamp) -> Result<Outcome> {
        refused()
    }

    async fn end(&self, _: Key, _: &Guard, _: Announce, _: Timestamp) -> Result<Option<Record>> {
        refused()
    }

    async fn expire(&self, _: usize, _: Keep, _: Timestamp) -> Result<Vec<Ending>> {
        Ok(Vec::new())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: false, durable: false, keeps_endings: false }
    }
}
