//! Opening a database of a server: what is said where it does not open.

use cloakroom_sql::{ConnectError, Database, SqlStore};
use cloakroom_testkit::faults::all_said;
use cloakroom_testkit::servers::Postgres;

use crate::{Server, Which, ask_all, create, few, open, record};

/// The error of a failed opening, and all that it says, causes and debugging text included.
async fn refused(url: &str) -> (ConnectError, String) {
    let error = SqlStore::with_options(url, few()).await.unwrap_err();
    let said = all_said(&error);
    (error, said)
}

async fn wrong_openings(which: Which) {
    let server = Server::start(which).await;
    let url = server.url();
    let (user, password) = match which {
        Which::Postgres => ("postgres:postgres@", "postgres:hunter2@"),
        Which::MariaDb | Which::MySql => ("cloakroom:wardrobe@", "cloakroom:hunter2@"),
    };
    assert!(url.contains(user));
    let wrong = url.replace(user, password);
    let (error, said) = refused(&wrong).await;
    assert!(matches!(error, ConnectError::Credentials { .. }), "{said}");
    assert!(said.contains("check those in the URL") && !said.contains("hunter2"), "{said}");

    let (error, said) = refused(&format!("{url}_missing")).await;
    assert!(matches!(error, ConnectError::NoDatabase { .. }), "{said}");

    let (error, said) = refused(&format!("{wrong}?pasword=hunter2")).await;
    assert!(matches!(error, ConnectError::Url(_)), "{said}");
    assert!(said.contains("behind the ?") && !said.contains("pasword"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");

    let store = open(&url, few()).await;
    let debug = format!("{store:?}");
    assert!(debug.contains(&server.addr().to_string()), "{debug}");
    assert!(!debug.contains("wardrobe") && !debug.contains(":postgres@"), "{debug}");
    drop(server);
    let (error, said) = refused(&wrong).await;
    assert!(matches!(error, ConnectError::NoServer { .. }), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_wrong_opening_says_what_to_do_and_no_password() {
    wrong_openings(Which::Postgres).await;
    wrong_openings(Which::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn a_wrong_opening_of_mysql_says_what_to_do_and_no_password() {
    wrong_openings(Which::MySql).await;
}

/// A server that has seen a password over TLS knows it again without: this one has not.
#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn a_password_of_mysql_needs_tls_and_is_told_so() {
    let server = Server::start(Which::MySql).await;
    let (error, said) = refused(&format!("{}?ssl-mode=DISABLED", server.url())).await;
    assert!(matches!(error, ConnectError::WayIn { .. }), "{said}");
    assert!(said.contains("over TLS") && !said.contains("wardrobe"), "{said}");
    open(&server.url(), few()).await;
}

#[tokio::test]
async fn a_user_who_may_not_make_tables_is_told_what_an_administrator_does() {
    let server = Postgres::start().await;
    server.run("CREATE ROLE app LOGIN PASSWORD 'app'");
    let url = server.url().replace("postgres:postgres@", "app:app@");
    let (error, said) = refused(&url).await;
    assert!(matches!(error, ConnectError::Forbidden(_)), "{said}");
    assert!(said.contains("SqlStore::schema"), "{said}");

    server.run(&SqlStore::schema(Database::Postgres));
    for table in ["schema", "sessions", "endings"] {
        server.run(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON cloakroom_{table} TO app"));
    }
    let store = open(&url, few()).await;
    let key = create(&store, &record()).await;
    for (call, answer) in ask_all(&store, key).await {
        assert!(answer.is_ok(), "{call}: {answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_only_reads_is_named() {
    let server = Postgres::start().await;
    let store = open(&server.url(), few()).await;
    create(&store, &record()).await;
    server.run("ALTER SYSTEM SET default_transaction_read_only = on");
    server.run("SELECT pg_reload_conf()");
    // The server's parent reads its configuration when it comes to it.
    for _ in 0..500 {
        if server.run("SHOW default_transaction_read_only") == "on" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (error, said) = refused(&server.url()).await;
    assert!(matches!(error, ConnectError::ReadOnlyServer { .. }), "{said}");
}
