//! The bucket as a register: places that are read from their leader, and changed at an expected
//! revision.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloakroom_core::store::{Due, Feed, Held, Place, Put, Register, Result, Swapped};
use cloakroom_core::{Key, Kind, Timestamp};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::bucket::{Bucket, REMEMBERS};
use crate::fault::{Fault, NO_MESSAGE, WRONG_LAST};
use crate::index::{Content, Hash};
use crate::link::{self, Link};
use crate::node::Node;
use crate::watch::Watch;

/// The revision that a message is expected to find.
const EXPECTED: &str = "Nats-Expected-Last-Subject-Sequence";
/// For how long a message is kept.
const TTL: &str = "Nats-TTL";
/// What a message does, to those who look at the bucket by other means.
const OPERATION: &str = "KV-Operation";
/// How long to wait for a server that is behind.
const PAUSE: Duration = Duration::from_millis(10);
/// How many places are read at once.
const TOGETHER: usize = 64;

/// Sessions in a JetStream bucket, which this node watches.
#[derive(Debug)]
pub struct NatsRegister {
    link: Link,
    bucket: Bucket,
    node: Arc<Node>,
    watch: Watch,
}

impl NatsRegister {
    /// A register over a bucket that there is, and a watch of it.
    pub(crate) fn new(link: Link, bucket: Bucket, watching: Link) -> Self {
        let node = Arc::new(Node::default());
        let watch = Watch::begin(watching, bucket.clone(), Arc::clone(&node));
        Self { link, bucket, node, watch }
    }

    /// How many places this node knows to be filled. It knows all of them once it has caught up.
    pub fn known(&self) -> usize {
        self.node.index(|index| index.len())
    }

    fn subject(&self, place: Place) -> String {
        format!("{}{place}", self.bucket.places())
    }

    /// Reads a place from the server that leads the bucket. Others may be behind it, and a direct
    /// get is answered by any. A leader that has just been chosen may be behind as well: what is
    /// older than what this node knows is asked for again.
    async fn read(&self, place: Place) -> Result<Option<Held>, Fault> {
        let end = Instant::now() + self.link.limit();
        loop {
            let held = self.read_once(place).await?;
            if !self.learn(place, held.as_ref()) {
                let held = held.filter(|(_, bytes)| !bytes.is_empty());
                return Ok(held.map(|(revision, bytes)| Held { bytes, revision: Some(revision) }));
            }
            if Instant::now() + PAUSE >= end {
                return Err(Fault::Behind);
            }
            sleep(PAUSE).await;
        }
    }

    /// Takes an answer down; whether it knows less than this node does.
    fn learn(&self, place: Place, answer: Option<&(u64, Bytes)>) -> bool {
        self.node.index(|index| {
            let is_behind =
                index.is_ahead_of(place, answer.map(|(at, bytes)| (*at, !bytes.is_empty())));
            if let (Some((revision, bytes)), false) = (answer, is_behind) {
                index.learn(place, *revision, content(bytes));
            }
            is_behind
        })
    }

    /// The last message of a place; an empty one says that it was removed.
    async fn read_once(&self, place: Place) -> Result<Option<(u64, Bytes)>, Fault> {
        let subject = format!("STREAM.MSG.GET.{}", self.bucket.stream());
        let question = json!({ "last_by_subj": self.subject(place) });
        match self.link.api("a question for a session", &subject, &question).await {
            Ok(answer) => message(&answer).map(Some).ok_or(Fault::Unexpected("a question")),
            Err(fault) if fault.is(&[NO_MESSAGE]) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Writes at an expected revision; `None` where something else is there.
    async fn write(
        &self,
        place: Place,
        expected: u64,
        to: Option<&Put>,
    ) -> Result<Option<u64>, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED, expected.to_string());
        let forget_after = match to {
            Some(put) => put.forget_after,
            None => {
                headers.insert(OPERATION, "DEL");
                Some(REMEMBERS)
            }
        };
        if let Some(after) = forget_after {
            headers.insert(TTL, format!("{}s", after.as_secs().saturating_add(1)));
        }
        let bytes = to.map(|put| put.bytes.clone()).unwrap_or_default();
        let answer = self.link.ask(self.subject(place), Some(headers), bytes.clone()).await?;
        let revision = match link::read("a write", &answer) {
            Ok(answer) => answer["seq"].as_u64().ok_or(Fault::Unexpected("a write"))?,
            Err(fault) if fault.is(&WRONG_LAST) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let content = content(&bytes);
        self.node.index(|index| index.learn(place, revision, content));
        Ok(Some(revision))
    }

    /// Swaps. A write that found another revision has changed nothing, so that it can be sent again
    /// where what is there is all the same what it should be: as after a removal that is forgotten
    /// by now, or where the server was about to carry out somebody else's.
    async fn exchange(
        &self,
        place: Place,
        from: Option<&Held>,
        to: Option<&Put>,
    ) -> Result<Swapped, Fault> {
        let end = Instant::now() + self.link.limit();
        let mut expected = self.expected(place, from);
        loop {
            if let Some(revision) = expected
                && self.write(place, revision, to).await?.is_some()
            {
                return Ok(Swapped::Done);
            }
            // An empty place has a revision as well, where something was removed from it.
            let Some((last, bytes)) = self.read_last(place).await? else {
                if Instant::now() + PAUSE >= end {
                    return Err(Fault::Behind);
                }
                sleep(PAUSE).await;
                continue;
            };
            let is_same = match from {
                None => bytes.is_none(),
                Some(Held { revision: Some(revision), .. }) => bytes.is_some() && *revision == last,
                Some(held) => bytes.as_ref() == Some(&held.bytes),
            };
            if !is_same {
                let held = bytes.map(|bytes| Held { bytes, revision: Some(last) });
                return Ok(Swapped::Found(held));
            }
            if expected.replace(last) == Some(last) {
                sleep(PAUSE).await;
            }
            if Instant::now() >= end {
                return Err(Fault::Behind);
            }
        }
    }

    /// The revision that a swap should find; `None` where that is not known.
    fn expected(&self, place: Place, from: Option<&Held>) -> Option<u64> {
        match from {
            None => self.node.index(|index| index.emptied(place)),
            Some(Held { revision: Some(revision), .. }) => Some(*revision),
            Some(held) => {
                let hash = Hash::of(&held.bytes);
                self.node.index(|index| index.revision_of(place, hash))
            }
        }
    }

    /// The last revision of a place, and what is in it; `None` where the answer knows less than this
    /// node.
    async fn read_last(&self, place: Place) -> Result<Option<(u64, Option<Bytes>)>, Fault> {
        let answer = self.read_once(place).await?;
        if self.learn(place, answer.as_ref()) {
            return Ok(None);
        }
        let (revision, bytes) = answer.unwrap_or_default();
        Ok(Some((revision, (!bytes.is_empty()).then_some(bytes))))
    }

    /// Waits until this node knows what there is.
    async fn caught_up(&self) -> Result<(), Fault> {
        let caught_up = timeout(self.link.limit(), self.node.caught_up());
        caught_up.await.map_err(|_| Fault::CatchingUp)
    }
}

/// What a message puts into a place; nothing where it is empty.
fn content(bytes: &[u8]) -> Option<Content> {
    (!bytes.is_empty()).then(|| Content::of(bytes))
}

/// Reads a message as JetStream tells it.
fn message(answer: &Value) -> Option<(u64, Bytes)> {
    let message = answer.get("message")?;
    let bytes = match message.get("data") {
        Some(data) => STANDARD.decode(data.as_str()?).ok()?,
        None => Vec::new(),
    };
    Some((message["seq"].as_u64()?, bytes.into()))
}

#[async_trait]
impl Register for NatsRegister {
    async fn get(&self, place: Place) -> Result<Option<Held>> {
        Ok(self.read(place).await?)
    }

    async fn swap(&self, place: Place, from: Option<&Held>, to: Option<&Put>) -> Result<Swapped> {
        Ok(self.exchange(place, from, to).await?)
    }

    async fn due(&self, what: Due, limit: usize, now: Timestamp) -> Result<Vec<(Key, Held)>> {
        self.caught_up().await?;
        let (mut found, mut after) = (Vec::new(), None);
        while found.len() < limit {
            let some = (limit - found.len()).min(TOGETHER);
            let due = self.node.index(|index| index.due(what, after, some, now));
            let Some(last) = due.last() else {
                break;
            };
            after = Some(*last);
            let reads = due.iter().map(|(_, key)| self.read(Place::Record(*key)));
            for ((_, key), held) in due.iter().zip(join_all(reads).await) {
                let held = match held {
                    // The others need not wait until it can be read again.
                    Err(Fault::Behind) => continue,
                    held => held?,
                };
                let is_due = |held: &Held| held.label().is_some_and(|it| it.is_due(what, now));
                found.extend(held.filter(is_due).map(|held| (*key, held)));
            }
        }
        Ok(found)
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        self.caught_up().await?;
        let (mut keys, mut from) = (Vec::new(), after);
        while keys.len() < limit {
            let some = limit - keys.len();
            let (some, last) = self.node.index(|index| index.living(kind, from, some, now));
            keys.extend(some);
            from = last;
            if last.is_none() {
                break;
            }
        }
        Ok(keys)
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        self.caught_up().await?;
        let (mut count, mut from) = (0, None);
        loop {
            let (some, last) = self.node.index(|index| index.living(kind, from, usize::MAX, now));
            count += some.len() as u64;
            match last {
                Some(_) => from = last,
                None => return Ok(count),
            }
        }
    }

    fn feed(&self) -> Option<&dyn Feed> {
        Some(&self.watch)
    }

    /// The bucket lies in files.
    fn durable(&self) -> bool {
        true
    }
}
