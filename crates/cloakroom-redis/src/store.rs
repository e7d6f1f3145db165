//! The store: each call as one script or one command, and what the answer means.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Created, Directory, Endings, Error, Feed, Keep, Result,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Kind, Outcome, Record, Store, Timestamp};
use redis::{Cmd, Value};

use crate::commit::{self, Applied};
use crate::fault;
use crate::layout::{Index, Layout, backstop, bucket_of, score};
use crate::login::{login_of, seat_of};
use crate::reply;
use crate::route::Route;
use crate::script::{Call, Scripts};

/// Sessions in Redis. Made by [`RedisStore::connect`].
///
/// It keeps one connection to each server, which all calls share, and makes a new one when that breaks or no
/// longer answers; a caller that gives up before the answer has the connection probed. A call whose
/// command was sent is never sent again.
pub struct RedisStore {
    pub(crate) route: Route,
    pub(crate) layout: Layout,
    pub(crate) scripts: Scripts,
    /// Which bucket the next sweep begins with; at first any, so that nodes spread.
    pub(crate) turn: AtomicUsize,
    /// Whether the server keeps on disk what it is told, as far as it says.
    durable: bool,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("route", &self.route)
            .field("prefix", &self.layout.prefix())
            .finish_non_exhaustive()
    }
}

impl RedisStore {
    pub(crate) fn new(route: Route, layout: Layout, durable: bool) -> Self {
        Self {
            route,
            layout,
            scripts: Scripts::new(),
            turn: AtomicUsize::new(usize::from(bucket_of(Key::random(Kind::Session)))),
            durable,
        }
    }

    /// Reads a record, over or not.
    pub(crate) async fn read(&self, key: Key) -> Result<Option<Record>> {
        let mut command = Cmd::new();
        command.arg("GET").arg(self.layout.record(key));
        reply::string(self.route.send(bucket_of(key), &command).await?, "GET")?
            .map(|bytes| reply::record(key, &bytes))
            .transpose()
    }

    /// Applies a commit to its record, in one step; in two where it was built on what no longer is the
    /// record, and the first has done nothing.
    pub(crate) async fn apply(
        &self,
        key: Key,
        commit: &Commit,
        built: Option<Built<'_>>,
        now: Timestamp,
    ) -> Result<Applied> {
        if let Some(built) = built {
            let call = commit::put(&self.scripts, &self.layout, key, built, now);
            match self.scripts.put.run(&self.route, &call).await? {
                Value::Int(1) => return Ok(commit::as_made(commit, built)),
                Value::Int(0) => {}
                _ => return Err(fault::unexpected("the put script")),
            }
        }
        // In a box: most commits have been written by now.
        Box::pin(self.carry_out(key, commit, now)).await
    }

    /// Has the server carry out a commit, in one step.
    async fn carry_out(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Applied> {
        let call = commit::call(&self.scripts, &self.layout, key, commit, now);
        let answer = self.scripts.commit.run(&self.route, &call).await?;
        commit::applied(key, commit, answer)
    }

    async fn commit_any(
        &self,
        key: Key,
        commit: &Commit,
        built: Option<Built<'_>>,
        now: Timestamp,
    ) -> Result<Outcome> {
        match &commit.sign_in {
            Some(sign_in) if key.kind() == Kind::Session => {
                // In a box: what signs nobody in has nothing so large to carry.
                Box::pin(self.commit_login(key, commit, sign_in, built, now)).await
            }
            _ => Ok(self.apply(key, commit, built, now).await?.outcome),
        }
    }

    /// Stores a new record, in one step.
    pub(crate) async fn insert(
        &self,
        key: Key,
        record: &Record,
        now: Timestamp,
    ) -> Result<Created> {
        let deadline = record.deadline();
        let deadlines = self.layout.deadlines(Index::of(key));
        let mut call = self.scripts.create.on([self.layout.record(key), deadlines]);
        call.number(now.millis())
            .arg(key.as_bytes().as_slice())
            .arg(encode(record))
            .arg(score(deadline))
            .arg(backstop(deadline, now));
        let answer = self.scripts.create.run(&self.route, &call).await?;
        created(key, answer)
    }

    /// Removes a record that its guard allows to end, in one step.
    pub(crate) async fn remove(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let (what, whose) = match guard {
            Guard::None => ("any", [].as_slice()),
            Guard::Proof(proof) => ("proof", proof.as_bytes().as_slice()),
            Guard::Principal(principal) => ("principal", principal.as_bytes()),
        };
        let mut call = self.removal(key, now);
        call.arg(what).arg(whose).arg(announce.reason.as_str()).arg(lease(key, announce.keep));
        let answer = self.scripts.remove.run(&self.route, &call).await?;
        removed(key, answer)?.map(|bytes| reply::record(key, &bytes)).transpose()
    }

    /// The removal script's keys, and its first arguments.
    pub(crate) fn removal(&self, key: Key, now: Timestamp) -> Call {
        let bucket = bucket_of(key);
        let mut call = self.scripts.remove.on([
            self.layout.record(key),
            self.layout.deadlines(Index::of(key)),
            self.layout.leases(bucket),
            self.layout.endings(bucket),
        ]);
        call.number(now.millis()).arg(key.as_bytes().as_slice());
        call
    }
}

/// Until when an ending is leased to the caller; empty where none is kept.
pub(crate) fn lease(key: Key, keep: Keep) -> String {
    match (keep, key.kind()) {
        (Keep::LeasedUntil(until), Kind::Session) => until.millis().to_string(),
        _ => String::new(),
    }
}

/// The bytes of a removed record.
pub(crate) fn removed(key: Key, answer: Value) -> Result<Option<Bytes>> {
    match answer {
        Value::Array(items) => Err(unreadable(key, items)),
        answer => reply::string(answer, "the remove script"),
    }
}

fn created(key: Key, answer: Value) -> Result<Created> {
    match answer {
        Value::Int(1) => Ok(Created::Done { replaced: None }),
        Value::Int(-1) => Ok(Created::Exists),
        Value::Array(items) => match items.as_slice() {
            [Value::Int(1), Value::BulkString(bytes)] => {
                // The new record is there, whatever the one that it replaced was.
                let replaced = reply::record(key, &Bytes::copy_from_slice(bytes)).ok();
                Ok(Created::Done { replaced: replaced.map(Box::new) })
            }
            [Value::Int(2), ..] => Err(unreadable(key, items)),
            _ => Err(fault::unexpected("the create script")),
        },
        _ => Err(fault::unexpected("the create script")),
    }
}

fn unreadable(key: Key, items: Vec<Value>) -> Error {
    match items.into_iter().next_back() {
        Some(Value::BulkString(bytes)) => reply::unreadable(key, &bytes.into()),
        _ => fault::unexpected("a script"),
    }
}

/// A record's bytes, with no number beyond what a script holds exactly. An idle timeout that long
/// is for ever all the same, and a version saturates there.
pub(crate) fn encode(record: &Record) -> Bytes {
    let most = Timestamp::MAX.millis();
    let longest = Duration::from_millis(most);
    if record.version > most || record.idle.is_some_and(|idle| idle > longest) {
        let (version, idle) = (record.version.min(most), record.idle.map(|idle| idle.min(longest)));
        return Record { version, idle, ..record.clone() }.encode();
    }
    record.encode()
}

#[async_trait]
impl Store for RedisStore {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        Ok(self.read(key).await?.filter(|record| !record.is_over(now)))
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        if let (Kind::Session, Some(principal)) = (key.kind(), &record.principal) {
            return self.create_login(key, record, principal, seats, now).await;
        }
        let created = self.insert(key, record, now).await?;
        if let Created::Done { replaced: Some(old) } = &created {
            self.unseat(seat_of(key, old).as_slice()).await;
        }
        Ok(created)
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        self.commit_any(key, commit, None, now).await
    }

    /// Where nobody has written in between, the record is written as it was built: a third of the
    /// server's work for a commit that it has to carry out itself.
    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.commit_any(key, commit, Some(built), now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let removed = self.remove(key, guard, announce, now).await?;
        let whose = match (&removed, guard) {
            (Some(record), _) => record.principal.as_deref(),
            (None, Guard::Principal(principal)) => Some(principal.as_str()),
            (None, _) => None,
        };
        if let (Kind::Session, Some(principal)) = (key.kind(), whose) {
            self.vacate(principal, key, removed.as_ref().map(login_of)).await;
        }
        Ok(removed)
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        self.sweep(limit, keep, now).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        let time = self.route.send_to_any(&redis::cmd("TIME")).await?;
        let parts = reply::strings(time, "TIME")?;
        let [seconds, micros] = parts.as_slice() else {
            return Err(fault::unexpected("TIME"));
        };
        let number = |part: &Bytes| reply::number(&Value::BulkString(part.to_vec()), "TIME");
        let millis = number(seconds)?.saturating_mul(1000) + number(micros)? / 1000;
        Ok(Some(Timestamp::from_millis(millis)))
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn endings(&self) -> Option<&dyn Endings> {
        Some(self)
    }

    fn feed(&self) -> Option<&dyn Feed> {
        Some(self)
    }

    /// Durable where the server, as it was at the time of connecting, writes a log or snapshots.
    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: true, durable: self.durable, keeps_endings: true }
    }
}
