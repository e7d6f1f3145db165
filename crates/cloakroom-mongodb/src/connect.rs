//! Connecting: by a URL, to a replica set, to the routers of a sharded cluster, or to one server.

use std::time::Duration;

use cloakroom_core::record::CommitId;
use cloakroom_core::store::{self, Cas};
use mongodb::bson::doc;
use mongodb::options::{ClientOptions, IndexOptions};
use mongodb::{Client, IndexModel};

use crate::about::{About, Form};
use crate::fault;
use crate::feed::Watching;
use crate::layout::BEAT;
use crate::register::MongoRegister;
use crate::store::MongoStore;
use crate::table::Table;
use crate::url::{self, Wrong};

/// How often each server is asked whether it is there. One that hangs without a sign is given up
/// after this time and half a call's.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How a store is kept in MongoDB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The collection, which is made where it is missing. Default: `cloakroom`.
    pub collection: String,
    /// How long a call may take, the search for a server included. A caller may give up earlier.
    /// Default: 2 s.
    pub call_timeout: Duration,
    /// How many connections there may be to each server; one call at a time goes over each.
    /// Default: 32.
    pub pool_size: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            collection: "cloakroom".to_owned(),
            call_timeout: Duration::from_secs(2),
            pool_size: 32,
        }
    }
}

/// Why sessions cannot be kept on a server. Never shows the password of the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a MongoDB server.
    #[error("the URL of the MongoDB server is not valid")]
    Url(#[source] store::Source),
    /// No server can be reached, or it does not answer, or refuses.
    #[error("cannot use the MongoDB server at {address}")]
    Server {
        /// Where it was looked for.
        address: String,
        /// What went wrong; its own source says what the server or the system said.
        #[source]
        source: store::Error,
    },
    /// The server is too old.
    #[error(
        "the MongoDB server at {address} speaks version {found} of its protocol; version 9, which \
         is that of MongoDB 4.4, or a later one is needed: upgrade it"
    )]
    TooOld {
        /// Where it is.
        address: String,
        /// The latest version of the protocol that it speaks.
        found: i32,
    },
}

impl From<Wrong> for ConnectError {
    fn from(wrong: Wrong) -> Self {
        Self::Url(wrong.into())
    }
}

impl MongoRegister {
    /// Connects to what is at `url`, `mongodb://[name:password@]host[:port][,...]/database`, and
    /// makes the collection's indexes where they are missing. The user has to have the role
    /// `readWrite` on that database.
    ///
    /// The URL may have every option that MongoDB's drivers know, such as `replicaSet`, `tls`,
    /// `tlsCAFile` and `authSource`, except for those that say how safely is written and from
    /// whom is read: writes are acknowledged by a majority, and reads ask the primary. A user's name
    /// is looked for in the database of the URL where no `authSource` names another.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        let (mut settings, database) = url::parse(url).await?;
        settle(&mut settings, &options);
        let names: Vec<String> = settings.hosts.iter().map(ToString::to_string).collect();
        let address = names.join(", ");
        let failed = |source| ConnectError::Server { address: address.clone(), source };
        let client = Client::with_options(settings).map_err(|said| failed(fault::sort(&said)))?;
        let database = client.database(&database);
        let table = |form| Table::of(&database, &options.collection, form, options.call_timeout);
        let hello = table(Form::Alone).command(doc! { "hello": 1 }).await.map_err(failed)?;
        let about = About::new(hello);
        if let Some(found) = about.too_old() {
            return Err(ConnectError::TooOld { address: address.clone(), found });
        }
        let table = table(about.form());
        table.ask_well(table.many.create_indexes(indexes())).await.map_err(failed)?;
        let watching = match about.form() {
            Form::Several => Some(Watching::new(table.clone(), beat())),
            Form::Alone => {
                tracing::warn!(%address, "the MongoDB server is in no replica set: it tells nobody of changes, so that no session can be cached");
                None
            }
        };
        Ok(Self::new(table, watching))
    }
}

impl MongoStore {
    /// Connects to what is at `url`: see [`MongoRegister::connect`].
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        Ok(Self::new(Cas::new(MongoRegister::connect(url, options).await?)))
    }
}

/// Has the driver do what is promised here, whatever the URL says. What is a matter of taste, the
/// URL may say.
fn settle(settings: &mut ClientOptions, options: &Options) {
    let half = options.call_timeout / 2;
    settings.retry_writes = Some(false);
    settings.max_adaptive_retries = Some(0);
    settings.server_selection_timeout = Some(half);
    settings.connect_timeout = Some(half);
    settings.heartbeat_freq.get_or_insert(HEARTBEAT);
    settings.max_pool_size.get_or_insert(options.pool_size.max(1));
    settings.app_name.get_or_insert_with(|| "cloakroom".to_owned());
}

/// What records are found by: a sweep finds what is over and what has lapsed, a directory counts
/// what lives, and the server forgets what no sweep has removed.
fn indexes() -> [IndexModel; 4] {
    let sparse = || IndexOptions::builder().sparse(true).build();
    let forgets = IndexOptions::builder().expire_after(Duration::ZERO).build();
    [
        IndexModel::builder().keys(doc! { "kind": 1, "alive_until": 1 }).build(),
        IndexModel::builder().keys(doc! { "over_from": 1 }).options(sparse()).build(),
        IndexModel::builder().keys(doc! { "lapses_at": 1 }).options(sparse()).build(),
        IndexModel::builder().keys(doc! { "forget_at": 1 }).options(forgets).build(),
    ]
}

/// What this node's heartbeats are called: by chance, so that no other node's are.
fn beat() -> String {
    let id = CommitId::random();
    let digits: String = id.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{BEAT}{digits}")
}
