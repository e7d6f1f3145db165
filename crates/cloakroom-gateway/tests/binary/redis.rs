//! The demo over Redis in each of its forms.

use cloakroom_testkit::servers::{Certificates, Cluster, Redis, Sentinel};
use tempfile::tempdir;

use crate::support::{Demo, browser, command, log_in, session, visit};

/// Walks over both nodes of a demo whose store is at `url`, and returns what it said at the start.
async fn walk(url: &str) -> String {
    let dir = tempdir().unwrap();
    let demo = Demo::run(command(dir.path()).env("CLOAKROOM_STORE", url), &[]);
    let me = browser();
    log_in(&me, &demo, 0).await;
    for round in 1..=6 {
        assert_eq!(visit(&me, &demo, round % 2).await, round as u64);
        let page = session(&me, &demo, (round + 1) % 2).await;
        assert!(page.contains(&format!(r#""user":"alice","visits":{round},"#)), "{page}");
    }
    let page = me.get(demo.url(0, "/")).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("hunter2") && !demo.greeting.contains("hunter2"));
    demo.greeting.clone()
}

#[tokio::test]
async fn by_tls_and_with_a_password() {
    let certificates = Certificates::make();
    let server = Redis::start_secured(&certificates, "hunter2").await;
    let (addr, ca) = (server.second_addr(), certificates.authority());
    let greeting = walk(&format!("rediss://:hunter2@{addr}?ca={}", ca.display())).await;
    assert!(greeting.contains(&format!("Redis by TLS at {addr}, which ")), "{greeting}");
}

#[tokio::test]
async fn behind_sentinels() {
    let servers = Sentinel::start().await;
    let greeting = walk(&servers.url()).await;
    assert!(greeting.contains("Redis behind sentinels at 127.0.0.1:"), "{greeting}");
}

#[tokio::test]
async fn in_a_cluster() {
    let servers = Cluster::start().await;
    let greeting = walk(&servers.url()).await;
    assert!(greeting.contains("a Redis Cluster at 127.0.0.1:"), "{greeting}");
}
