//! A node: its own connection to Redis, its own cache or none, and what a request does on it.

use std::io;
use std::slice;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench_common::{CSRF, Line, NAME, USER_ID, cart, roles};
use cloakroom::redis::Options;
use cloakroom::store::{Created, Near, NearOptions, NearStats};
use cloakroom::token::Secret;
use cloakroom::{
    Client, Clock as _, Key, Kind, Policy, Record, RedisStore, Reply, Sessions, Slot, Store as _,
    SystemClock, Token,
};
use cloakroom_core::Session;

use super::gauge::spread;

const USER: Slot<u64> = Slot::new("user_id");
const CALLED: Slot<String> = Slot::new("name");
const ROLES: Slot<Vec<String>> = Slot::new("roles");
const CART: Slot<Vec<Line>> = Slot::new("cart");
const FORM_TOKEN: Slot<String> = Slot::new("csrf");
const STEP: Slot<u64> = Slot::new("step");
const COUNTER: Slot<u64> = Slot::new("counter");

/// How often a use is written down: not while this measures, so that a read is nothing but one.
const TOUCH_AFTER: Duration = Duration::from_secs(20 * 60);
/// How long a cache may take until it trusts its feed.
const TRUST: Duration = Duration::from_secs(10);
/// How many creations are under way together.
const CREATING: usize = 64;

type Cache = Near<Arc<RedisStore>>;

/// One node.
#[derive(Clone)]
pub(crate) struct Node {
    /// Its connection.
    pub(crate) store: Arc<RedisStore>,
    /// Its sessions.
    pub(crate) sessions: Sessions,
    near: Option<Arc<Cache>>,
}

impl Node {
    /// A node that asks Redis each time.
    ///
    /// # Errors
    ///
    /// Where the Redis cannot be used.
    pub(crate) async fn plain(url: &str) -> io::Result<Self> {
        let store = connect(url).await?;
        let sessions = sessions(Arc::clone(&store))?;
        Ok(Self { store, sessions, near: None })
    }

    /// A node with a cache that is at work: `token`, a session's, has been read from it.
    ///
    /// # Errors
    ///
    /// As for [`Node::plain`], and where the cache does not come to trust its feed.
    pub(crate) async fn cached(url: &str, token: &Token) -> io::Result<Self> {
        let store = connect(url).await?;
        let near = cloakroom::near(Arc::clone(&store), NearOptions::default());
        let near = Arc::new(near.map_err(io::Error::other)?);
        let sessions = sessions(Arc::clone(&near))?;
        let node = Self { store, sessions, near: Some(near) };
        let began = Instant::now();
        while node.stats().hits == 0 {
            if began.elapsed() > TRUST {
                return Err(io::Error::other("a near cache does not come to trust its feed"));
            }
            node.read(token).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(node)
    }

    /// What its cache has done; nothing, where it has none.
    pub(crate) fn stats(&self) -> NearStats {
        self.near.as_ref().map(|near| near.stats()).unwrap_or_default()
    }

    /// Opens the session that a token leads to, as it is for a client that shows no fence.
    ///
    /// # Errors
    ///
    /// Where the store does not answer.
    pub(crate) async fn open(&self, token: &Token) -> io::Result<Session> {
        let opened = self.sessions.open(slice::from_ref(token), Client::default()).await;
        opened.map_err(io::Error::other)
    }

    /// Reads one attribute.
    ///
    /// # Errors
    ///
    /// Where the session is not there.
    pub(crate) async fn read(&self, token: &Token) -> io::Result<()> {
        let session = self.open(token).await?;
        let name = session.get(CALLED).map_err(io::Error::other)?;
        name.ok_or_else(|| io::Error::other("a session that was stored is not there"))?;
        self.finish(&session).await
    }

    /// Writes one attribute.
    ///
    /// # Errors
    ///
    /// Where the session is not there.
    pub(crate) async fn write(&self, token: &Token, step: u64) -> io::Result<()> {
        let session = self.open(token).await?;
        if session.is_new() {
            return Err(io::Error::other("a session that is to be written is not there"));
        }
        session.set(STEP, &step).map_err(io::Error::other)?;
        self.finish(&session).await
    }

    /// What was written last, as this node sees it.
    ///
    /// # Errors
    ///
    /// Where the store does not answer.
    pub(crate) async fn step(&self, token: &Token) -> io::Result<Option<u64>> {
        self.open(token).await?.get(STEP).map_err(io::Error::other)
    }

    /// Increments one attribute.
    ///
    /// # Errors
    ///
    /// Where it is not acknowledged.
    pub(crate) async fn count(&self, token: &Token) -> io::Result<()> {
        let session = self.open(token).await?;
        session.update(COUNTER, |counter| *counter += 1).map_err(io::Error::other)?;
        self.finish(&session).await
    }

    /// What was counted.
    ///
    /// # Errors
    ///
    /// Where the store does not answer.
    pub(crate) async fn counted(&self, token: &Token) -> io::Result<u64> {
        let counter = self.open(token).await?.get(COUNTER).map_err(io::Error::other)?;
        Ok(counter.unwrap_or_default())
    }

    async fn finish(&self, session: &Session) -> io::Result<()> {
        self.sessions.finish(session).await.map(drop).map_err(io::Error::other)
    }
}

async fn connect(url: &str) -> io::Result<Arc<RedisStore>> {
    let store = RedisStore::connect(url, Options::default()).await;
    store.map(Arc::new).map_err(io::Error::other)
}

fn sessions(store: impl cloakroom::Store) -> io::Result<Sessions> {
    let policy = Policy { touch_after: Some(TOUCH_AFTER), ..Policy::default() };
    cloakroom::sessions(store).policy(policy).build().map_err(io::Error::other)
}

/// Stores copies of one session, as `bench/run` has it in every app. All have one secret.
#[derive(Clone)]
pub(crate) struct Seeder {
    store: Arc<RedisStore>,
    record: Record,
    secret: Secret,
    bucket: Option<u8>,
}

impl Seeder {
    /// Takes what a session stores for the sample. With a bucket, all copies go into that one of
    /// 256.
    ///
    /// # Errors
    ///
    /// Where the sample cannot be stored and read.
    pub(crate) async fn new(node: &Node, bucket: Option<u8>) -> io::Result<Self> {
        let token = fill(node).await.map_err(io::Error::other)?;
        let token = token.ok_or_else(|| io::Error::other("a new session has no token"))?;
        let record = node.store.load(token.key(), SystemClock.now()).await;
        let record = record.map_err(io::Error::other)?;
        let mut record = record.ok_or_else(|| io::Error::other("a new session is not there"))?;
        node.sessions.end(token.key()).await.map_err(io::Error::other)?;
        let secret = Secret::random();
        record.proof = Some(secret.proof());
        Ok(Self { store: Arc::clone(&node.store), record, secret, bucket })
    }

    /// The sample's length, as it is stored.
    pub(crate) fn encoded(&self) -> usize {
        self.record.encode().len()
    }

    /// Stores so many copies that end after `idle`, or as the sample does.
    ///
    /// # Errors
    ///
    /// Where one cannot be stored.
    pub(crate) async fn store(
        &self,
        count: usize,
        idle: Option<Duration>,
    ) -> io::Result<Vec<Token>> {
        let seeder = Arc::new(self.clone());
        let create = move |_| {
            let seeder = Arc::clone(&seeder);
            async move { seeder.create(idle).await }
        };
        spread(count, CREATING, create).await
    }

    async fn create(&self, idle: Option<Duration>) -> io::Result<Token> {
        let (key, now) = (self.key()?, SystemClock.now());
        let mut record = self.record.clone();
        (record.created_at, record.touched_at, record.proof_since) = (now, now, now);
        record.idle = idle.or(record.idle);
        match self.store.create(key, &record, None, now).await.map_err(io::Error::other)? {
            Created::Done { .. } => Ok(Token::new(key, self.secret.clone())),
            other => Err(io::Error::other(format!("a session is not stored: {other:?}"))),
        }
    }

    /// A random key. Its first byte is its bucket.
    fn key(&self) -> io::Result<Key> {
        let key = Key::random(Kind::Session);
        let Some(bucket) = self.bucket else {
            return Ok(key);
        };
        let mut id = *key.as_bytes();
        id[0] = bucket;
        Key::from_bytes(Kind::Session, &id).ok_or_else(|| io::Error::other("an id is not one"))
    }
}

/// Stores the sample; its token.
async fn fill(node: &Node) -> Result<Option<Token>, cloakroom::Error> {
    let session = node.sessions.open(&[], Client::default()).await?;
    session.set(USER, &USER_ID)?;
    session.set(CALLED, &NAME.to_owned())?;
    session.set(ROLES, &roles())?;
    session.set(CART, &cart())?;
    session.set(FORM_TOKEN, &CSRF.to_owned())?;
    Ok(match node.sessions.finish(&session).await? {
        Some(Reply::Send { token, .. }) => Some(token),
        _ => None,
    })
}
