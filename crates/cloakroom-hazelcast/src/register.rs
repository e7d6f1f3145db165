//! The register: a map of a cluster, whose members compare and swap.

use async_trait::async_trait;
use bytes::Bytes;
use cloakroom_core::store::{Due, Feed, Held, Place, Put, Register, Result, Swapped};
use cloakroom_core::token::Kind;
use cloakroom_core::{Key, Timestamp};
use futures_util::future::{try_join, try_join_all};

use crate::codec::request::{self, In};
use crate::codec::{
    ALIVE, LAPSES, Malformed, OVER, Request, Uuid, answer, data, open, predicate, seal,
};
use crate::connect::{ConnectError, Options, connect};
use crate::dial::Line;
use crate::fault::Fault;
use crate::link::{Link, Sent};
use crate::{pages, raise};

/// Keeps bytes in a map of a Hazelcast cluster.
#[derive(Debug)]
pub struct HazelcastRegister {
    pub(crate) link: Link,
}

impl HazelcastRegister {
    /// Connects to the cluster at `url`, as
    /// [`HazelcastStore::connect`](crate::HazelcastStore::connect) does.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        Ok(Self { link: connect(url, &options).await? })
    }

    async fn read(&self, place: Place) -> Result<Option<Held>, Fault> {
        let line = self.link.line().await?;
        self.read_on(&line, &data::of_text(&place.to_string())).await
    }

    async fn read_on(&self, line: &Line, name: &[u8]) -> Result<Option<Held>, Fault> {
        let at = In { map: self.link.map(), partition: line.watch.partition(name) };
        let answer = self.link.call(line, request::get(at, name)).await?;
        Ok(answer::value(&answer)?.as_ref().map(held))
    }

    /// Sends what changes a place, and says whether it did: who gives up leaves word of it.
    async fn change(&self, line: &Line, place: Place, request: Request) -> Result<bool, Fault> {
        let key = match place {
            Place::Record(key) => Some(key),
            Place::Seats(_) => None,
        };
        let sent = Sent::new(line, key);
        let kind = request.kind();
        let answer = self.link.call(line, request).await?;
        let is_done = match kind {
            request::PUT_IF_ABSENT => answer::value(&answer)?.is_none(),
            _ => answer::truth(&answer)?,
        };
        sent.answered();
        Ok(is_done)
    }

    async fn compare_and_swap(
        &self,
        place: Place,
        from: Option<&Held>,
        to: Option<&Put>,
    ) -> Result<Swapped, Fault> {
        let line = self.link.line().await?;
        let name = data::of_text(&place.to_string());
        let at = In { map: self.link.map(), partition: line.watch.partition(&name) };
        let from = from.map(|from| seal(place, &from.bytes));
        let new = to.map(|to| seal(place, &to.bytes));
        let request = match (&from, to, &new) {
            (None, Some(to), Some(new)) => request::put_if_absent(at, &name, new, to.forget_after),
            (Some(from), _, Some(new)) => request::replace_if_same(at, &name, from, new),
            (Some(from), _, None) => request::remove_if_same(at, &name, from),
            (None, ..) => {
                let found = self.read_on(&line, &name).await?;
                return Ok(found.map_or(Swapped::Done, |found| Swapped::Found(Some(found))));
            }
        };
        let others = line.watch.others();
        if self.change(&line, place, request).await? {
            return Ok(Swapped::Done);
        }
        let (found, ()) =
            try_join(self.read_on(&line, &name), self.nobody_left(&line, others)).await?;
        Ok(Swapped::Found(found))
    }

    /// Makes sure that none of the other members has left meanwhile. The member that we talk to
    /// asks again by itself where the one that it asked has left, and so may have swapped before it
    /// failed to swap.
    async fn nobody_left(&self, line: &Line, others: Vec<Uuid>) -> Result<(), Fault> {
        let asked = others
            .into_iter()
            .map(|member| raise::count(line, self.link.map(), member, self.link.limit()));
        match try_join_all(asked).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::Doubtful),
        }
    }

    async fn find_due(
        &self,
        what: Due,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<(Key, Held)>, Fault> {
        let line = self.link.line().await?;
        let attribute = match what {
            Due::Over => OVER,
            Due::Lapsed => LAPSES,
        };
        let predicate = predicate::at_most(attribute, now.millis());
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let request = request::entries(self.link.map(), &predicate, limit);
        let entries = answer::entries(&self.link.call(&line, request).await?)?;
        let found = entries.iter().filter_map(|(name, value)| record(name, value));
        Ok(found.filter(|(_, held)| held.label().is_some_and(|l| l.is_due(what, now))).collect())
    }

    async fn how_many(&self, kind: Kind, now: Timestamp) -> Result<u64, Fault> {
        let line = self.link.line().await?;
        let predicate = predicate::of_kind_above(&kind.letter().to_string(), ALIVE, now.millis());
        let request = request::count(self.link.map(), &predicate);
        let counted = answer::value(&self.link.call(&line, request).await?)?;
        let count = counted.and_then(|counted| data::long(&counted));
        let count = count.and_then(|count| u64::try_from(count).ok());
        count.ok_or(Fault::Malformed(Malformed("a count that is no number")))
    }
}

/// What a value holds. One that is none of ours is handed on as it is: it will not be taken for a
/// record.
fn held(value: &Bytes) -> Held {
    Held { bytes: open(value).unwrap_or_else(|| value.clone()), revision: None }
}

/// A record's place, where an entry is one.
pub(crate) fn record(name: &[u8], value: &Bytes) -> Option<(Key, Held)> {
    match data::text(name)?.parse() {
        Ok(Place::Record(key)) => Some((key, held(value))),
        _ => None,
    }
}

#[async_trait]
impl Register for HazelcastRegister {
    async fn get(&self, place: Place) -> Result<Option<Held>> {
        Ok(self.read(place).await?)
    }

    async fn swap(&self, place: Place, from: Option<&Held>, to: Option<&Put>) -> Result<Swapped> {
        Ok(self.compare_and_swap(place, from, to).await?)
    }

    async fn due(&self, what: Due, limit: usize, now: Timestamp) -> Result<Vec<(Key, Held)>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        Ok(self.find_due(what, limit, now).await?)
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        Ok(pages::page(&self.link, kind, after, limit, now).await?)
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        Ok(self.how_many(kind, now).await?)
    }

    fn feed(&self) -> Option<&dyn Feed> {
        Some(self)
    }

    /// A cluster keeps everything in memory: what is kept outlives members, as many as its map has
    /// backups, and not the cluster.
    fn durable(&self) -> bool {
        false
    }
}
