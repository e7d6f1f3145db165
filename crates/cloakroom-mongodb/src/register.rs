//! The register: one document a place, one command a swap.

use std::fmt;

use async_trait::async_trait;
use cloakroom_core::store::{Due, Error, Feed, Held, Place, Put, Register, Result, Swapped};
use cloakroom_core::{Key, Kind, Timestamp};
use futures_util::TryStreamExt;
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::ReturnDocument;
use tokio::time::timeout;

use crate::about::About;
use crate::fault::{self, Fault, is_duplicate};
use crate::feed::Watching;
use crate::layout::{self, From};
use crate::line::Lines;
use crate::table::Table;

/// How often an insertion is tried anew that lost a race to another one. The first that comes after
/// finds what the other one has left.
const RACES: usize = 8;

/// Keeps places in a collection of MongoDB.
///
/// A swap is one `findAndModify`, whose update decides on the server whether it applies and whose
/// answer brings what was there: who came too late needs no second question. Only an ending that
/// leaves nothing in its place, and came too late, asks again.
pub struct MongoRegister {
    table: Table,
    /// `None` on a server that tells nobody of changes.
    watching: Option<Watching>,
    lines: Lines,
}

impl MongoRegister {
    pub(crate) fn new(table: Table, watching: Option<Watching>) -> Self {
        Self { table, watching, lines: Lines::default() }
    }

    /// Puts `to` there, under a revision that no other content has. So what comes back of the
    /// document tells whether it was done, and what is there where it was not; `None` where a race
    /// was lost and nothing was done.
    async fn put(
        &self,
        place: Place,
        from: From<'_>,
        (to, revision): (&Put, i64),
    ) -> Result<Option<Swapped>> {
        let creates = matches!(from, From::Nothing);
        let update = from.replace(layout::document(place, to, revision));
        let asked = self
            .table
            .many
            .find_one_and_update(layout::named(place), update)
            .upsert(creates)
            .return_document(ReturnDocument::After)
            .projection(layout::news(revision))
            .max_time(self.table.limit);
        match self.table.ask(asked).await? {
            Ok(Some(document)) if layout::has(&document, revision) => Ok(Some(Swapped::Done)),
            Ok(Some(document)) => Ok(Some(Swapped::Found(Some(layout::held(&document))))),
            Ok(None) => Ok((!creates).then_some(Swapped::Found(None))),
            Err(said) if is_duplicate(&said) => Ok(None),
            Err(said) => Err(fault::sort(&said)),
        }
    }

    /// Removes what is there.
    async fn remove(&self, place: Place, from: From<'_>) -> Result<Swapped> {
        let asked = self
            .table
            .many
            .find_one_and_delete(from.filter(place))
            .projection(doc! { "_id": 1 })
            .max_time(self.table.limit);
        match self.table.ask_well(asked).await? {
            Some(_) => Ok(Swapped::Done),
            None => Ok(Swapped::Found(self.get(place).await?)),
        }
    }

    /// Puts `to` there, with a revision that this node knows to be its own. Returns what is there
    /// then, where it was done.
    async fn put_own(
        &self,
        place: Place,
        from: From<'_>,
        to: &Put,
    ) -> Result<(Swapped, Option<Held>)> {
        for _ in 0..RACES {
            let revision = layout::revision();
            let own = self.watching.as_ref().map(|watching| watching.own(revision));
            let Some(swapped) = self.put(place, from, (to, revision)).await? else {
                continue;
            };
            if let (Swapped::Done, Some(own)) = (&swapped, own) {
                own.done();
            }
            let revision = u64::try_from(revision).ok();
            return Ok((swapped, Some(Held { bytes: to.bytes.clone(), revision })));
        }
        Err(Error::Refused("others kept creating and removing the same session".into()))
    }

    /// Swaps, at the head of the line. Returns what is there then, where it was done.
    async fn swap_now(
        &self,
        place: Place,
        from: From<'_>,
        to: Option<&Put>,
    ) -> Result<(Swapped, Option<Held>)> {
        match (from, to) {
            (_, Some(to)) => self.put_own(place, from, to).await,
            (From::Nothing, None) => {
                let found = self.get(place).await?;
                let swapped = found.map_or(Swapped::Done, |found| Swapped::Found(Some(found)));
                Ok((swapped, None))
            }
            (_, None) => Ok((self.remove(place, from).await?, None)),
        }
    }

    async fn find(
        &self,
        filter: Document,
        by: &str,
        limit: usize,
        wanted: Document,
    ) -> Result<Vec<RawDocumentBuf>> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = self
            .table
            .many
            .find(filter)
            .sort(doc! { by: 1 })
            .limit(most)
            .projection(wanted)
            .max_time(self.table.limit);
        let all = async { found.await?.try_collect().await };
        self.table.ask_well(Box::pin(all)).await
    }
}

#[async_trait]
impl Register for MongoRegister {
    async fn get(&self, place: Place) -> Result<Option<Held>> {
        let asked = self
            .table
            .exact
            .find_one(layout::named(place))
            .projection(layout::contents())
            .max_time(self.table.limit);
        let found = self.table.ask_well(asked).await?;
        Ok(found.as_deref().map(layout::held))
    }

    async fn swap(&self, place: Place, from: Option<&Held>, to: Option<&Put>) -> Result<Swapped> {
        let from = From::of(from);
        let turn = timeout(self.table.limit, self.lines.join(place).turn()).await;
        // Nobody was asked.
        let mut head = turn.map_err(|_| Error::Unreachable(Fault::Slow.into()))?;
        if let Some(there) = head.news()
            && !from.is(there.as_ref())
        {
            return Ok(Swapped::Found(there.clone()));
        }
        let asked = head.ask();
        let (swapped, put) = self.swap_now(place, from, to).await?;
        head.tell(asked, if let Swapped::Found(found) = &swapped { found.clone() } else { put });
        Ok(swapped)
    }

    async fn due(&self, what: Due, limit: usize, now: Timestamp) -> Result<Vec<(Key, Held)>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let since = layout::due(what);
        let filter = doc! { since: { "$lte": layout::millis(now) } };
        let wanted = doc! { "revision": 1, "bytes": 1 };
        let found = self.find(filter, since, limit, wanted).await?;
        let due = found
            .iter()
            .filter_map(|document| Some((layout::key(document)?, layout::held(document))));
        Ok(due.collect())
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut filter = layout::living(kind, now);
        filter.insert("_id", layout::behind(kind, after));
        let found = self.find(filter, "_id", limit, doc! { "_id": 1 }).await?;
        Ok(found.iter().filter_map(|document| layout::key(document)).collect())
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        let asked =
            self.table.many.count_documents(layout::living(kind, now)).max_time(self.table.limit);
        self.table.ask_well(asked).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        Ok(About::new(self.table.command(doc! { "hello": 1 }).await?).time())
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.watching.as_ref().map(|watching| watching as &dyn Feed)
    }

    fn durable(&self) -> bool {
        true
    }
}

impl fmt::Debug for MongoRegister {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MongoRegister({:?})", self.table)
    }
}
