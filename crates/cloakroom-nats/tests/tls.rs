//! TLS, with a real server whose certificates were made for it.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use cloakroom_core::Store;
use cloakroom_nats::{ConnectError, NatsStore, Options};
use cloakroom_testkit::samples::{START, key, session};
use cloakroom_testkit::servers::{Certificates, Nats};

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_kept_behind_tls_by_whom_both_sides_trust() {
    let certificates = Certificates::make();
    let server = Nats::start_secured(&certificates).await;
    let connect = |query: String| {
        let url = format!("tls://{}{query}", server.addr());
        async move { NatsStore::connect(&url, Options::default()).await }
    };
    let trusted = format!("?ca={}", certificates.authority().display());
    let (client, key_file) = (certificates.client(), certificates.client_key());
    let known = format!("{trusted}&cert={}&key={}", client.display(), key_file.display());
    let store = connect(known).await.expect("both are trusted");
    let (key, record) = (key(), session(START));
    drop(store.create(key, &record, None, START).await.expect("it is created"));
    assert_eq!(store.load(key, START).await.expect("it answers"), Some(record));
    for untrusted in [String::new(), trusted] {
        let error = connect(untrusted).await.expect_err("one of them is not trusted");
        assert!(matches!(error, ConnectError::Connection { .. }), "{error:?}");
    }
}
