//! The collection, and how long anybody waits for an answer about it.

use std::fmt;
use std::time::Duration;

use cloakroom_core::store::Result;
use mongodb::Collection;
use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::error::Result as Said;
use mongodb::options::{
    Acknowledgment, CollectionOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use tokio::time::timeout;

use crate::about::Form;
use crate::fault;

/// The collection that sessions are kept in. Clones are the same.
#[derive(Clone)]
pub(crate) struct Table {
    /// What is read of one document is what was acknowledged last.
    pub(crate) exact: Collection<RawDocumentBuf>,
    /// What is read of many is what a majority of the servers has.
    pub(crate) many: Collection<RawDocumentBuf>,
    pub(crate) limit: Duration,
}

impl Table {
    pub(crate) fn of(
        database: &mongodb::Database,
        collection: &str,
        form: Form,
        limit: Duration,
    ) -> Self {
        let with = |read: ReadConcern| {
            let options = CollectionOptions::builder()
                .selection_criteria(primary())
                .read_concern(read)
                .write_concern(durable(limit))
                .build();
            database.collection_with_options(collection, options)
        };
        let (exact, many) = match form {
            // One server has nobody to agree with.
            Form::Alone => (ReadConcern::local(), ReadConcern::local()),
            Form::Several => (ReadConcern::linearizable(), ReadConcern::majority()),
        };
        Self { exact: with(exact), many: with(many), limit }
    }

    /// Waits for an answer, for as long as anybody does. Nobody can tell from its absence whether
    /// the server has acted.
    pub(crate) async fn ask<T>(&self, asked: impl IntoFuture<Output = Said<T>>) -> Result<Said<T>> {
        timeout(self.limit, asked.into_future()).await.map_err(|_| fault::slow())
    }

    /// The same where every error is just that.
    pub(crate) async fn ask_well<T>(&self, asked: impl IntoFuture<Output = Said<T>>) -> Result<T> {
        self.ask(asked).await?.map_err(|said| fault::sort(&said))
    }

    /// Sends a command to the server that may write.
    pub(crate) async fn command(&self, command: Document) -> Result<Document> {
        let database = self.many.client().database(&self.many.namespace().db);
        self.ask_well(database.run_command(command).selection_criteria(primary())).await
    }
}

/// Only the server that may write knows what was written last.
fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// A write is acknowledged once a majority of the servers has it on disk: no failover and no crash
/// undoes it.
fn durable(limit: Duration) -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(limit).build()
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({})", self.many.namespace())
    }
}
