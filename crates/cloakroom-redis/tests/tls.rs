//! TLS and passwords, with a real server whose certificates were made for it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod ear;

use std::fs::read;
use std::iter::successors;

use cloakroom_core::Store;
use cloakroom_core::store::Created;
use cloakroom_redis::{ClientCertificate, ConnectError, Options, Pem, RedisStore, Tls};
use cloakroom_testkit::samples::{START, key, session};
use cloakroom_testkit::servers::{Certificates, Redis};

use ear::Ear;

const PASSWORD: &str = "hunter2/%#";
const IN_URL: &str = "hunter2%2F%25%23";

async fn start() -> (Certificates, Redis) {
    let certificates = Certificates::make();
    let server = Redis::start_secured(&certificates, PASSWORD).await;
    (certificates, server)
}

fn url(server: &Redis) -> String {
    format!("rediss://:{IN_URL}@{}", server.second_addr())
}

fn with_authority(server: &Redis, certificates: &Certificates) -> String {
    format!("{}?ca={}", url(server), certificates.authority().display())
}

async fn connect(url: &str) -> Result<RedisStore, ConnectError> {
    RedisStore::connect(url, Options::default()).await
}

/// All that an error says, which is never the password.
fn said(error: &ConnectError) -> String {
    let first: &(dyn std::error::Error + 'static) = error;
    let chain = successors(Some(first), |error| error.source());
    let said = chain.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(!format!("{said} {error:?}").contains("hunter2"), "{error:?}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_kept_behind_tls_and_a_password() {
    let (certificates, server) = start().await;
    let url = with_authority(&server, &certificates);
    let (store, other) = (connect(&url).await.unwrap(), connect(&url).await.unwrap());
    let mut ear = Ear::on(&store);
    ear::hears_foreign_changes_only(&store, &mut ear, &other).await;
    let (key, record) = (key(), session(START));
    let created = store.create(key, &record, None, START).await.unwrap();
    assert_eq!(created, Created::Done { replaced: None });
    assert_eq!(store.load(key, START).await.unwrap(), Some(record));
    let list = server.command(&["CLIENT", "LIST"]);
    assert!(list.lines().count() > 2, "{list}");
    let shown = format!("{store:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_known_authority_is_believed() {
    let (certificates, server) = start().await;
    let error = connect(&url(&server)).await.unwrap_err();
    assert!(said(&error).contains("certificate"), "{}", said(&error));
    let other = Certificates::make();
    let error = connect(&with_authority(&server, &other)).await.unwrap_err();
    assert!(said(&error).contains("certificate"), "{}", said(&error));

    let ca = Some(Pem::Bytes(read(certificates.authority()).unwrap()));
    let options = Options { tls: Tls { ca, client: None }, ..Options::default() };
    assert!(RedisStore::connect(&url(&server), options).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_host_is_not_believed() {
    let (certificates, server) = start().await;
    let url = with_authority(&server, &certificates);
    assert!(connect(&url.replace("127.0.0.1", "localhost")).await.is_ok());
    let error = connect(&url.replace("127.0.0.1", "127.0.0.2")).await.unwrap_err();
    // Nobody listens there, or its certificate is another's: either way it is not used.
    said(&error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_ask_who_connects() {
    let (certificates, server) = start().await;
    server.command(&["CONFIG", "SET", "tls-auth-clients", "yes"]);
    let url = with_authority(&server, &certificates);
    said(&connect(&url).await.unwrap_err());
    let (certificate, key) = (certificates.client(), certificates.client_key());
    let named = format!("{url}&cert={}&key={}", certificate.display(), key.display());
    assert!(connect(&named).await.is_ok());
    let client = ClientCertificate {
        certificate: Pem::File(certificate),
        key: Pem::Bytes(read(key).unwrap()),
    };
    let options = Options { tls: Tls { ca: None, client: Some(client) }, ..Options::default() };
    assert!(RedisStore::connect(&url, options).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_certificate_is_said_at_once() {
    let (certificates, server) = start().await;
    let wrong = format!("{}?ca={}", url(&server), certificates.client_key().display());
    assert!(matches!(connect(&wrong).await, Err(ConnectError::Pem { .. })));
    let missing = format!("{}?ca=/nowhere/ca.pem", url(&server));
    assert!(matches!(connect(&missing).await, Err(ConnectError::File { .. })));
    let broken = b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n".to_vec();
    let tls = Tls { ca: Some(Pem::Bytes(broken)), client: None };
    let options = Options { tls, ..Options::default() };
    let error = RedisStore::connect(&url(&server), options).await.unwrap_err();
    assert!(matches!(error, ConnectError::Certificates(_)), "{error:?}");
    let insecure = connect(&format!("{}#insecure", url(&server))).await.unwrap_err();
    assert!(said(&insecure).contains("?ca="), "{insecure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_port_is_an_error() {
    let (certificates, server) = start().await;
    let plain = format!("rediss://:{IN_URL}@{}", server.addr());
    let plain = format!("{plain}?ca={}", certificates.authority().display());
    said(&connect(&plain).await.unwrap_err());
    said(&connect(&url(&server).replace("rediss", "redis")).await.unwrap_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_reached_by_tls() {
    let certificates = Certificates::make();
    let arguments = ["--cluster-enabled", "yes", "--tls-cluster", "yes"];
    let server = Redis::start_secured_with(&certificates, PASSWORD, &arguments).await;
    server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(10));
    while !server.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
        looks.tick().await;
    }
    let url = with_authority(&server, &certificates).replace("rediss", "rediss+cluster");
    let (store, other) = (connect(&url).await.unwrap(), connect(&url).await.unwrap());
    let mut ear = Ear::on(&store);
    ear::hears_foreign_changes_only(&store, &mut ear, &other).await;
    assert!(connect(&url.replace("rediss", "redis").replace("?ca", "?x")).await.is_err());
}
