//! The servers that come in several: they start, and another takes a dead one's place.

use cloakroom_testkit::servers::{Certificates, Cluster, Redis, Sentinel};

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_name_another_master() {
    let servers = Sentinel::start().await;
    servers.master().command(&["SET", "a", "1"]);
    servers.master().replicated();
    let old = servers.master().addr();
    servers.failover().await;
    assert_ne!(servers.master().addr(), old);
    assert_eq!(servers.master().command(&["GET", "a"]), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_replaces_a_dead_master_and_moves_a_slot() {
    let mut cluster = Cluster::start().await;
    let slot = cluster.slot_of("a");
    cluster.master_of(slot).command(&["SET", "a", "1"]);
    let going = cluster.begin_move(slot);
    cluster.move_name(going, "a");
    cluster.finish_move(going).await;
    assert_eq!(cluster.master_of(slot).command(&["GET", "a"]), "1");
    cluster.master_of(slot).replicated();
    let dead = cluster.kill_master_of(slot);
    cluster.replaced(slot, dead).await;
    assert_eq!(cluster.master_of(slot).command(&["GET", "a"]), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_password_listens_for_tls() {
    let certificates = Certificates::make();
    let server = Redis::start_secured(&certificates, "hunter2").await;
    assert_eq!(server.command(&["CONFIG", "GET", "tls-port"]).lines().count(), 2);
}
