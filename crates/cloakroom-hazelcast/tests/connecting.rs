//! What is said where a cluster cannot be used, by TLS too; and that it repeats no password.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::Store;
use cloakroom_hazelcast::{ConnectError, HazelcastStore, Options};
use cloakroom_testkit::faults::all_said;
use cloakroom_testkit::samples::{START, key, session};
use cloakroom_testkit::servers::{Certificates, Hazelcast};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Time enough for a machine that has a lot else to do.
fn patient() -> Options {
    let call_timeout = Duration::from_secs(10);
    Options { connect_timeout: Duration::from_secs(20), call_timeout }
}

/// Everything that an error says, and what it comes of.
async fn refused(url: &str) -> String {
    let options = Options { connect_timeout: Duration::from_secs(5), ..Options::default() };
    let error = HazelcastStore::connect(url, options).await.expect_err("it cannot be used");
    let said = all_said(&error);
    assert!(!said.contains("hunter2"), "{said}");
    said
}

/// Listens, and says this to everybody.
async fn stranger(says: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let addr = listener.local_addr().expect("it has an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut some = [0; 1024];
            let _ = stream.read(&mut some).await;
            let _ = stream.write_all(says).await;
        }
    });
    addr
}

#[tokio::test]
async fn what_is_no_member_is_said_to_be_none() {
    for says in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"", b"\0\0\0\0\0\0", b"-ERR unknown\r\n"]
    {
        let said = refused(&format!("hazelcast://a:hunter2@{}", stranger(says).await)).await;
        assert!(said.contains("is no Hazelcast member"), "{said}");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let addr = listener.local_addr().expect("it has an address");
    drop(listener);
    let said = refused(&format!("hazelcast://a:hunter2@{addr}")).await;
    assert!(said.contains("Unreachable") && said.contains("refused"), "{said}");
}

#[tokio::test]
async fn a_bad_url_or_a_bad_file_is_said_before_anybody_is_asked() {
    let error = HazelcastStore::connect("redis://hunter2", Options::default()).await;
    assert!(matches!(error, Err(ConnectError::Url(_))), "{error:?}");
    let said = refused("hazelcasts://a:hunter2@127.0.0.1?ca=/nowhere/ca.pem").await;
    assert!(said.contains("cannot read /nowhere/ca.pem"), "{said}");
    let said = refused("hazelcasts://a:hunter2@127.0.0.1?ca=/dev/null").await;
    assert!(said.contains("PEM"), "{said}");
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_wrong_cluster_name_or_password_is_said() {
    let addr = Hazelcast::shared().await.addrs()[0];
    for url in
        [format!("hazelcast://{addr}/another"), format!("hazelcast://a:hunter2@{addr}/cloakroom")]
    {
        let said = refused(&url).await;
        assert!(said.contains("make sure of the cluster's name"), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_member_that_is_there_is_found_behind_one_that_is_not() {
    let cluster = Hazelcast::shared().await;
    let (there, stranger) = (cluster.addrs()[1], stranger(b"no").await);
    let url =
        format!("hazelcast://127.0.0.1:1,{stranger},{there}/cloakroom?map={}", cluster.new_map());
    let store = HazelcastStore::connect(&url, patient()).await.expect("it is found");
    let _ = store.create(key(), &session(START), None, START).await.expect("it is used");
}

/// Takes TLS off what goes to `to`, as a proxy in front of a cluster does.
async fn tls_before(to: SocketAddr, certificates: &Certificates) -> SocketAddr {
    let chain = CertificateDer::from_pem_file(certificates.server()).expect("it was made");
    let key = PrivateKeyDer::from_pem_file(certificates.server_key()).expect("it was made");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let addr = listener.local_addr().expect("it has an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await
                    && let Ok(mut member) = TcpStream::connect(to).await
                {
                    let _ = copy_bidirectional(&mut stream, &mut member).await;
                }
            });
        }
    });
    addr
}

fn with_ca(addr: SocketAddr, map: &str, ca: &Path) -> String {
    format!("hazelcasts://{addr}/cloakroom?map={map}&ca={}", ca.display())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn by_tls_a_cluster_is_used_whose_authority_is_trusted_and_no_other() {
    let cluster = Hazelcast::shared().await;
    let (certificates, others) = (Certificates::make(), Certificates::make());
    let (addr, map) = (tls_before(cluster.addrs()[0], &certificates).await, cluster.new_map());

    let url = with_ca(addr, &map, &certificates.authority());
    let store = HazelcastStore::connect(&url, patient()).await.expect("it is trusted");
    let (key, record) = (key(), session(START));
    let _ = store.create(key, &record, None, START).await.expect("it is used");
    assert_eq!(store.load(key, START).await.expect("it answers"), Some(record));

    for untrusted in
        [with_ca(addr, &map, &others.authority()), format!("hazelcasts://{addr}/cloakroom")]
    {
        let said = refused(&untrusted).await;
        assert!(said.contains("invalid peer certificate"), "{said}");
    }
    let said = refused(&with_ca(cluster.addrs()[0], &map, &certificates.authority())).await;
    assert!(said.contains("Unreachable"), "{said}");
}
