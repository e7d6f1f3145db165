//! Connecting: by a URL, to one server, to the master of sentinels, or to a cluster.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store;
use futures_util::future::join_all;
use redis::AsyncConnectionConfig;

use crate::about::{Terms, check};
use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::layout::Layout;
use crate::link::Link;
use crate::persistence::Persistence;
use crate::place::{Dialer, Place};
use crate::route::Route;
use crate::sentinel::Sentinels;
use crate::store::RedisStore;
use crate::tls::Tls;
use crate::url::{self, Address, Form, Target, Watched};

/// How many commands wait to be written before a caller waits to hand over its own.
const WAITING: usize = 1024;

/// How a store is kept in Redis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What the name of every key begins with, so that applications can share a server. No
    /// braces. Default: `cloakroom:`.
    pub prefix: String,
    /// How long a connection may take to be made, the server's greeting included; with sentinels
    /// also how long a master is looked for. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long the server may take to answer before the connection is replaced. A caller may give
    /// up earlier. Default: 2 s.
    pub response_timeout: Duration,
    /// Accepts a server that throws sessions away when its memory is full. Default: false.
    pub insecure_allow_eviction: bool,
    /// Whom to trust and what to show, where the URL asks for TLS. What the URL names comes first.
    pub tls: Tls,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "cloakroom:".to_owned(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
            insecure_allow_eviction: false,
            tls: Tls::default(),
        }
    }
}

/// Why sessions cannot be kept on a server. Never shows the password of the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a Redis server.
    #[error("the URL of the Redis server is not valid: {0}")]
    Url(&'static str),
    /// A file for TLS cannot be read.
    #[error("cannot read {name}")]
    File {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What should be in PEM format is not.
    #[error("{name} is not what TLS needs there: it has no such block in PEM format")]
    Pem {
        /// Which.
        name: String,
    },
    /// The certificates for TLS cannot be used.
    #[error("the certificates for TLS to Redis cannot be used")]
    Certificates(#[source] store::Source),
    /// The prefix has braces, which would put all keys of a cluster into one slot.
    #[error("the prefix of the keys must not contain braces")]
    Prefix,
    /// The server cannot be reached, does not answer, refuses, or is no Redis server.
    #[error("cannot use the Redis server at {address}")]
    Server {
        /// Where it was looked for.
        address: String,
        /// What went wrong; its own source says what the server or the system said.
        #[source]
        source: store::Error,
    },
    /// The server is too old.
    #[error(
        "the Redis server at {address} has version {found}; 6.2 or later is needed: upgrade it"
    )]
    TooOld {
        /// Where it is.
        address: String,
        /// Its version.
        found: String,
    },
    /// The server is a node of a cluster.
    #[error(
        "the Redis server at {address} is a node of a cluster: use redis+cluster:// instead of \
         redis://"
    )]
    Cluster {
        /// Where it is.
        address: String,
    },
    /// The server is a sentinel.
    #[error(
        "the Redis server at {address} is a sentinel, and keeps nothing: use redis+sentinel:// \
         instead of redis://, with ?master= and the name of its master"
    )]
    Sentinel {
        /// Where it is.
        address: String,
    },
    /// The server throws keys away when its memory is full.
    #[error(
        "the Redis server at {address} has the maxmemory-policy {policy}, which ends living \
         sessions when memory runs short: set `maxmemory-policy noeviction` there, or allow it \
         with insecure_allow_eviction"
    )]
    Evicts {
        /// Where it is.
        address: String,
        /// Its policy.
        policy: String,
    },
}

impl ConnectError {
    pub(crate) fn server(address: &str, fault: Fault) -> Self {
        Self::Server { address: address.to_owned(), source: fault.into() }
    }
}

impl RedisStore {
    /// Connects to what is at `url`, and makes sure that sessions are safe there:
    ///
    /// | URL | what is there |
    /// |---|---|
    /// | `redis://[name[:password]@]host[:port][/database]` | one server |
    /// | `redis+sentinel://[name[:password]@]host[:port],.../[database]?master=name` | the master that these sentinels name; `&sentinel_user=` and `&sentinel_password=` where they ask for it |
    /// | `redis+cluster://[name[:password]@]host[:port],...` | a cluster, of which these are some nodes |
    /// | `unix:///path` | one server on this machine |
    ///
    /// With `rediss` in the place of `redis`, everything goes by TLS. The server's certificate has
    /// to be for the host of the URL, or for what sentinels and nodes call the others; it is
    /// checked against the authorities of this machine, of [`Options::tls`], or of the file in
    /// `?ca=/path/ca.pem`. `&cert=/path/client.pem&key=/path/client.key` is shown to a server that
    /// asks who connects.
    ///
    /// In a name, a password or a path, `/`, `?`, `#`, `&` and `%` are written as `%2F`, `%3F`,
    /// `%23`, `%26` and `%25`.
    ///
    /// A server that keeps nothing on disk is used, with a warning: its sessions end when it
    /// restarts. One that is lost later is looked for again, after a wait that grows from 20
    /// milliseconds to a second; until it is found, calls fail at once.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        if options.prefix.contains(['{', '}']) {
            return Err(ConnectError::Prefix);
        }
        let target = url::parse(url).map_err(ConnectError::Url)?;
        let layout = Layout::new(options.prefix.clone());
        let arrival = Arrival::of(&target, &options, layout.clone())?;
        let (route, persistence) = arrival.at(target.form).await?;
        Ok(Self::new(route, layout, persistence.is_durable()))
    }
}

/// What it takes to connect to servers of any form.
struct Arrival {
    dialer: Dialer,
    config: AsyncConnectionConfig,
    limit: Duration,
    layout: Layout,
    may_evict: bool,
}

impl Arrival {
    fn of(target: &Target, options: &Options, layout: Layout) -> Result<Self, ConnectError> {
        let tls = options.tls.clone().with(target.files.clone());
        let certificates = target.secure.then(|| tls.load()).transpose()?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout))
            .set_pipeline_buffer_size(WAITING);
        let dialer = Dialer::new(target.settings.clone(), certificates);
        let nowhere = Address { host: "localhost".to_owned(), port: 0 };
        // Certificates that cannot be read are found out now, not with the first connection.
        dialer.client(&nowhere).map_err(|error| ConnectError::Certificates(error.into()))?;
        let (limit, may_evict) = (options.connect_timeout, options.insecure_allow_eviction);
        Ok(Self { dialer, config, limit, layout, may_evict })
    }

    async fn at(self, form: Form) -> Result<(Route, Persistence), ConnectError> {
        let unusable = |_| ConnectError::Url("no connection can be made to such an address");
        let place = match form {
            Form::Server(address) => {
                Place::Server(self.dialer.client(&address).map_err(unusable)?.into())
            }
            Form::Socket(path) => {
                Place::Server(self.dialer.socket(&path).map_err(unusable)?.into())
            }
            Form::Sentinel(watched) => return self.at_sentinels(watched).await,
            Form::Cluster(nodes) => return self.at_cluster(nodes).await,
        };
        self.at_place(place).await
    }

    async fn at_place(self, place: Place) -> Result<(Route, Persistence), ConnectError> {
        let address = format!("{place:?}");
        let link = Link::new(place, self.config, self.layout, None);
        let terms = Terms { clustered: false, may_evict: self.may_evict };
        let persistence = check(&link, &address, terms).await?;
        persistence.warn(&address);
        Ok((Route::Single(link), persistence))
    }

    async fn at_sentinels(self, watched: Watched) -> Result<(Route, Persistence), ConnectError> {
        let sentinels = Arc::new(Sentinels::new(watched, self.dialer.clone(), self.limit));
        let (route, persistence) = self.at_place(Place::Watched(Arc::clone(&sentinels))).await?;
        if let Route::Single(link) = &route {
            sentinels.watch(&link.downgrade());
        }
        Ok((route, persistence))
    }

    /// Every master has to be one that keeps sessions. The one that keeps them for the shortest
    /// time counts for all.
    async fn at_cluster(self, nodes: Vec<Address>) -> Result<(Route, Persistence), ConnectError> {
        let names: Vec<String> = nodes.iter().map(Address::to_string).collect();
        let terms = Terms { clustered: true, may_evict: self.may_evict };
        let connecting = Cluster::connect(self.dialer, self.config, self.limit, nodes, self.layout);
        let cluster =
            connecting.await.map_err(|fault| ConnectError::server(&names.join(", "), fault))?;
        let links = cluster.links();
        let checks = links.iter().map(|(address, link)| check(link, address, terms));
        let mut least = Persistence::OnDisk;
        for (persistence, (address, _)) in join_all(checks).await.into_iter().zip(&links) {
            let persistence = persistence?;
            persistence.warn(address);
            least = if persistence.is_durable() { least } else { persistence };
        }
        Ok((Route::Cluster(cluster), least))
    }
}
