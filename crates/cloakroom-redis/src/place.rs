//! Where a connection leads to, and how it is made.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    RedisResult, TlsCertificates,
};

use crate::fault::Fault;
use crate::sentinel::Sentinels;
use crate::url::Address;

/// Where the server is.
pub(crate) enum Place {
    /// Always at the same address.
    Server(Box<Client>),
    /// Where the sentinels say.
    Watched(Arc<Sentinels>),
}

/// As whom to connect, and by TLS or not.
#[derive(Clone)]
pub(crate) struct Dialer {
    settings: RedisConnectionInfo,
    certificates: Option<TlsCertificates>,
}

impl Place {
    /// Connects to the server that is there now.
    pub(crate) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Fault> {
        match self {
            Self::Server(client) => connect(client, config).await,
            Self::Watched(sentinels) => sentinels.connect(config).await,
        }
    }
}

impl fmt::Debug for Place {
    /// Prints where the server is, and no name or password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(client) => write!(f, "{}", client.get_connection_info().addr()),
            Self::Watched(sentinels) => write!(f, "{sentinels}"),
        }
    }
}

impl Dialer {
    /// `certificates` where everything goes by TLS.
    pub(crate) fn new(
        settings: RedisConnectionInfo,
        certificates: Option<TlsCertificates>,
    ) -> Self {
        Self { settings, certificates }
    }

    /// The same, as somebody else.
    pub(crate) fn signing_in(&self, settings: RedisConnectionInfo) -> Self {
        Self { settings, certificates: self.certificates.clone() }
    }

    /// What connects to an address. It fails where the certificates are none.
    pub(crate) fn client(&self, Address { host, port }: &Address) -> RedisResult<Client> {
        let Some(certificates) = &self.certificates else {
            return self.open(ConnectionAddr::Tcp(host.clone(), *port));
        };
        let addr = ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: false,
            tls_params: None,
        };
        let client = self.open(addr)?;
        Client::build_with_tls(client.get_connection_info().clone(), certificates.clone())
    }

    /// What connects to a socket.
    pub(crate) fn socket(&self, path: &Path) -> RedisResult<Client> {
        self.open(ConnectionAddr::Unix(path.to_owned()))
    }

    fn open(&self, addr: ConnectionAddr) -> RedisResult<Client> {
        let tcp = TcpSettings::default().set_nodelay(true);
        let info = addr.into_connection_info()?;
        Client::open(info.set_redis_settings(self.settings.clone()).set_tcp_settings(tcp))
    }

    /// Connects to an address.
    pub(crate) async fn connect(
        &self,
        address: &Address,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Fault> {
        let client = self.client(address).map_err(Fault::Connecting)?;
        connect(&client, config).await
    }
}

async fn connect(
    client: &Client,
    config: &AsyncConnectionConfig,
) -> Result<MultiplexedConnection, Fault> {
    let connecting = client.get_multiplexed_async_connection_with_config(config);
    connecting.await.map_err(Fault::Connecting)
}
