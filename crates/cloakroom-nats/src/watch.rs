//! The watch of a bucket: one consumer after the other, each of which tells everything that there
//! is and then every change, in order.
//!
//! A consumer is watched closely: its messages are numbered, and it says when it is idle. Where one
//! is missing, or nothing is heard for a while, another one begins from the start. It has caught up
//! when it comes to a message that this node has sent after it began: whatever was acknowledged
//! before has been told by then, also where the consumer lives on a server that is behind the
//! leader. That is also how a heartbeat is answered: it was written by the leader, and came by after
//! all that was written before.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use cloakroom_core::Key;
use cloakroom_core::store::{Feed, FeedSource as Source, Held, Notices, Place, Result};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::bucket::{Bucket, nanoseconds};
use crate::fault::Fault;
use crate::link::{self, Link};
use crate::node::{News, Node};

/// How often a consumer says that it is idle.
const IDLE: Duration = Duration::from_secs(1);
/// How long a consumer may be silent.
const SILENCE: Duration = Duration::from_secs(4);
/// For how long a server keeps a consumer that nobody hears.
const UNHEARD: Duration = Duration::from_secs(30);
/// The first wait before another consumer is made.
const FIRST_DELAY: Duration = Duration::from_millis(20);
/// How often the wait doubles.
const DOUBLINGS: u32 = 6;
/// How long a node's last heartbeat stays in the bucket.
const BEAT_KEPT: &str = "60s";

/// What watches, and is the feed.
#[derive(Debug)]
pub(crate) struct Watch {
    watcher: Arc<Watcher>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Watcher {
    link: Link,
    bucket: Bucket,
    node: Arc<Node>,
    /// Where what this node sends itself goes.
    beats: String,
    again: Notify,
}

impl Watch {
    /// Begins to watch, until it is dropped.
    pub(crate) fn begin(link: Link, bucket: Bucket, node: Arc<Node>) -> Self {
        let inbox = link.inbox();
        let name = inbox.rsplit('.').next().unwrap_or("node");
        let beats = bucket.beats(name);
        let watcher = Arc::new(Watcher { link, bucket, node, beats, again: Notify::new() });
        let task = tokio::spawn(Arc::clone(&watcher).run());
        Self { watcher, task }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Feed for Watch {
    fn follow(&self, notices: Arc<dyn Notices>) {
        self.watcher.node.follow(notices);
        self.watcher.again.notify_one();
    }

    fn source(&self, _key: Key) -> Option<Source> {
        self.watcher.node.source()
    }

    async fn beat(&self, source: Source) -> Result<()> {
        Ok(self.watcher.beat(source).await?)
    }

    fn reset(&self, source: Source) {
        self.watcher.node.give_up(source);
        self.watcher.link.probe();
        self.watcher.again.notify_one();
    }
}

/// Ends a task with whoever has begun it.
struct Ends(JoinHandle<()>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watcher {
    /// Has one consumer after the other.
    async fn run(self: Arc<Self>) {
        let mut failures = 0;
        loop {
            let came_up = match self.watch().await {
                Ok(came_up) => came_up,
                Err(fault) => {
                    let cause: &dyn std::error::Error = &fault;
                    tracing::debug!(error = cause, "the bucket cannot be watched");
                    false
                }
            };
            failures = if came_up { 0 } else { DOUBLINGS.min(failures + 1) };
            sleep(FIRST_DELAY * 2_u32.pow(failures)).await;
        }
    }

    /// Watches by one consumer, for as long as it tells everything; whether it came up.
    async fn watch(self: &Arc<Self>) -> Result<bool, Fault> {
        let mut lost = self.link.lost();
        self.node.about_to_begin();
        let stream = self.bucket.state(&self.link).await?;
        let inbox = self.link.inbox();
        let mut messages = self.link.hear(inbox.clone()).await?;
        let source = self.node.begin(stream);
        let name = inbox.rsplit('.').next().unwrap_or_default().to_owned();
        self.consume(&name, &inbox).await?;
        let _waits = Ends(tokio::spawn(Arc::clone(self).catch_up(source)));
        let ended = {
            let hears = pin!(self.hear_all(source, &mut messages));
            let broken = pin!(lost.changed());
            match select(hears, broken).await {
                Either::Left((fault, _)) => fault,
                Either::Right(_) => Fault::Lost,
            }
        };
        let came_up = self.node.source() == Some(source);
        self.node.give_up(source);
        self.forget(name);
        tracing::debug!(why = %ended, "a watch of the bucket has ended");
        Ok(came_up)
    }

    /// Makes a consumer of everything that there is and that comes.
    async fn consume(&self, name: &str, inbox: &str) -> Result<(), Fault> {
        let stream = self.bucket.stream();
        let question = json!({
            "stream_name": stream,
            "config": {
                "name": name,
                "deliver_subject": inbox,
                "deliver_policy": "last_per_subject",
                "ack_policy": "none",
                "max_deliver": 1,
                "replay_policy": "instant",
                "filter_subjects": [format!("{}>", self.bucket.places()), self.beats],
                "flow_control": true,
                "idle_heartbeat": nanoseconds(IDLE),
                "inactive_threshold": nanoseconds(UNHEARD),
                "mem_storage": true,
                "num_replicas": 1,
            },
        });
        let subject = format!("CONSUMER.CREATE.{stream}.{name}");
        self.link.api("the creation of a consumer", &subject, &question).await.map(drop)
    }

    /// Has the server forget a consumer; it does so by itself where this does not come through.
    fn forget(&self, name: String) {
        let (link, stream) = (self.link.clone(), self.bucket.stream());
        tokio::spawn(async move {
            let subject = format!("CONSUMER.DELETE.{stream}.{name}");
            let _ = link.api("the removal of a consumer", &subject, &json!({})).await;
        });
    }

    /// Hears one message after the other, until one is missing.
    async fn hear_all(&self, source: Source, messages: &mut Subscriber) -> Fault {
        let mut heard = 0;
        loop {
            let again = pin!(self.again.notified());
            let next = pin!(timeout(SILENCE, messages.next()));
            let message = match select(next, again).await {
                Either::Left((Ok(Some(message)), _)) => message,
                Either::Left((Ok(None), _)) => return Fault::Lost,
                Either::Left((Err(_), _)) => {
                    self.link.probe();
                    return Fault::Late;
                }
                // Somebody may have asked for what has happened already.
                Either::Right(_) if self.node.tells(source) => continue,
                Either::Right(_) => return Fault::Replaced,
            };
            if let Err(fault) = self.take(source, message, &mut heard).await {
                return fault;
            }
        }
    }

    async fn take(&self, source: Source, message: Message, heard: &mut u64) -> Result<(), Fault> {
        if message.status == Some(StatusCode::IDLE_HEARTBEAT) {
            return self.answer(message, *heard).await;
        }
        let (number, revision) = message.reply.as_deref().and_then(numbers).ok_or(MISSING)?;
        if number != *heard + 1 {
            return Err(MISSING);
        }
        *heard = number;
        if *message.subject == *self.beats {
            self.node.pass(source, revision);
            return Ok(());
        }
        let place = message.subject.strip_prefix(&*self.bucket.places());
        let Some(place) = place.and_then(|place| place.parse::<Place>().ok()) else {
            return Ok(());
        };
        // A copy: what was received lies in a buffer with much else.
        let bytes = Bytes::copy_from_slice(&message.payload);
        let held = Held { bytes, revision: Some(revision) };
        let news = News::read(place, revision, &held, self.node.is_followed());
        self.node.hear(source, news).then_some(()).ok_or(Fault::Replaced)
    }

    /// The consumer says that it is idle, and what it has sent, or asks to be told that it may go
    /// on.
    async fn answer(&self, message: Message, heard: u64) -> Result<(), Fault> {
        if let Some(subject) = message.reply {
            self.link.say(subject).await;
            return Ok(());
        }
        let header = |name: &str| message.headers.as_ref()?.get(name).map(|value| value.as_str());
        if let Some(stalled) = header("Nats-Consumer-Stalled") {
            self.link.say(stalled.into()).await;
        }
        let sent = header("Nats-Last-Consumer").and_then(|sent| sent.parse().ok()).unwrap_or(heard);
        if sent > heard { Err(MISSING) } else { Ok(()) }
    }

    /// Sends itself a message until one is kept, and comes up when the watch has come so far:
    /// everything that there was has been told by then.
    async fn catch_up(self: Arc<Self>, source: Source) {
        let mut failures = 0;
        while self.node.tells(source) {
            if let Ok(revision) = self.send().await {
                // However long it takes: the watch is given up where it stands still.
                if self.node.told(source, revision).await.is_ok() {
                    self.node.come_up(source);
                }
                return;
            }
            failures = DOUBLINGS.min(failures + 1);
            sleep(FIRST_DELAY * 2_u32.pow(failures)).await;
        }
    }

    /// Sends itself a message: the revision at which it is kept.
    async fn send(&self) -> Result<u64, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-TTL", BEAT_KEPT);
        let beat = Bytes::from_static(b"beat");
        let answer = self.link.ask(self.beats.clone(), Some(headers), beat).await?;
        let answer = link::read("a heartbeat", &answer)?;
        answer["seq"].as_u64().ok_or(Fault::Unexpected("a heartbeat"))
    }

    /// The message itself may never come, where a later one has taken its place; what comes then is
    /// later.
    async fn beat(&self, source: Source) -> Result<(), Fault> {
        if !self.node.tells(source) {
            return Err(Fault::Replaced);
        }
        let revision = self.send().await?;
        let told = timeout(self.link.limit(), self.node.told(source, revision));
        told.await.unwrap_or(Err(Fault::Late))
    }
}

/// A message of the consumer is missing, or is none.
const MISSING: Fault = Fault::Unexpected("a watch");

/// The number of a message among those of its consumer, and its revision: out of
/// `$JS.ACK.<stream>.<consumer>.<times>.<revision>.<number>.<time>.<pending>`, where a domain and
/// an account may stand before the stream.
fn numbers(reply: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let at = match words.len() {
        7 => 3,
        9.. => 5,
        _ => return None,
    };
    Some((words[at + 1].parse().ok()?, words[at].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_numbered() {
        assert_eq!(numbers("$JS.ACK.KV_b.cx.1.44.4.1795183883190558420.0"), Some((4, 44)));
        assert_eq!(numbers("$JS.ACK.hub.ACC.KV_b.cx.1.44.4.1795183883190558420.0"), Some((4, 44)));
        assert_eq!(
            numbers("$JS.ACK.hub.ACC.KV_b.cx.1.44.4.1795183883190558420.0.x"),
            Some((4, 44))
        );
        for bad in ["", "$JS.ACK.", "$JS.ACK.KV_b.cx.1.x.4.0.0", "_INBOX.a.b.c.d.e.f.g.h"] {
            assert_eq!(numbers(bad), None, "{bad}");
        }
    }
}
