//! The store: sessions in a map of a cluster.

use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Cas, Created, Directory, Endings, Feed, Keep, Loaded, Result,
    Wanted,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Outcome, Record, Store, Timestamp};

use crate::connect::{ConnectError, Options};
use crate::register::HazelcastRegister;

/// Keeps sessions in a map of a Hazelcast cluster.
#[derive(Debug)]
pub struct HazelcastStore(Cas<HazelcastRegister>);

impl HazelcastStore {
    /// Connects to a cluster:
    /// `hazelcast://[name:password@]host[:port][,host[:port]...][/cluster][?map=name]`.
    ///
    /// The hosts are members of the cluster, each tried in turn where the one before is not there;
    /// the port is 5701 where none is given, the cluster's name `dev`, the map's `cloakroom`. Name
    /// and password are for clusters with the security suite; others let nobody in who shows any.
    ///
    /// With `hazelcasts`, everything goes by TLS. A member's certificate has to be for the host of
    /// the URL; it is checked against the authorities of this machine, or of the file in
    /// `?ca=/path/ca.pem`.
    ///
    /// In a name, a password or a path, `/`, `?`, `#`, `&` and `%` are written as `%2F`, `%3F`,
    /// `%23`, `%26` and `%25`.
    ///
    /// A member that is lost later is replaced by another one of these, after a wait that grows
    /// from 20 milliseconds to a second; until one is found, calls fail at once.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        Ok(Self(Cas::new(HazelcastRegister::connect(url, options).await?)))
    }
}

#[async_trait]
impl Store for HazelcastStore {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        self.0.load(key, now).await
    }

    async fn read(&self, key: Key, wanted: &Wanted, now: Timestamp) -> Result<Option<Loaded>> {
        self.0.read(key, wanted, now).await
    }

    fn cached(&self, key: Key, wanted: &Wanted, now: Timestamp) -> Option<Loaded> {
        self.0.cached(key, wanted, now)
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        self.0.create(key, record, seats, now).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        self.0.commit(key, commit, now).await
    }

    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.0.commit_built(key, commit, built, now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        self.0.end(key, guard, announce, now).await
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        self.0.expire(limit, keep, now).await
    }

    async fn clock(&self) -> Result<Option<Timestamp>> {
        self.0.clock().await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        self.0.directory()
    }

    fn endings(&self) -> Option<&dyn Endings> {
        self.0.endings()
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.0.feed()
    }

    fn fence(&self) -> Option<Duration> {
        self.0.fence()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}
