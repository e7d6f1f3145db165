//! Many clients on three nodes with near caches over a real PostgreSQL, which is killed, stopped and
//! cut off meanwhile, are told nothing that they were not promised.

use std::net::SocketAddr;

use cloakroom_sql::SqlStore;
use cloakroom_testkit::history::survive;
use cloakroom_testkit::servers::Postgres;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stopped_and_cut_off_server_breaks_no_promise() {
    let server = Postgres::start().await;
    let (own, url) = (server.addr().to_string(), server.url());
    let node = async |addr: SocketAddr| {
        SqlStore::connect(&url.replace(&own, &addr.to_string())).await.unwrap()
    };
    survive(server, node).await;
}
