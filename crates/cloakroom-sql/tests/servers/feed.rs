//! What PostgreSQL tells.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom_core::commit::{Commit, Expect};
use cloakroom_core::store::{Announce, Error, Feed, FeedSource, Keep, Notice, Notices};
use cloakroom_core::{Ended, Guard, Key, Kind, Store};
use cloakroom_sql::SqlStore;
use cloakroom_testkit::servers::{MariaDb, MySql, Postgres};
use cloakroom_testkit::{Mode, Proxy};

use crate::{NOW, ROOM, create, few, open, record, sign_in, write};

#[derive(Default, Debug)]
struct Heard(Mutex<Vec<Notice>>);

impl Notices for Heard {
    fn hear(&self, notice: Notice) {
        self.0.lock().unwrap().push(notice);
    }
}

impl Heard {
    /// What was heard, and forgets it.
    fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Waits for a source other than `old`.
async fn source(store: &SqlStore, old: Option<FeedSource>) -> FeedSource {
    for _ in 0..1000 {
        let now = store.feed().unwrap().source(Key::random(Kind::Session));
        if let Some(now) = now.filter(|now| Some(*now) != old) {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no source comes up");
}

async fn followed(url: &str) -> (SqlStore, Arc<Heard>, FeedSource) {
    let store = open(url, few()).await;
    let heard = Arc::<Heard>::default();
    store.feed().unwrap().follow(Arc::clone(&heard) as Arc<dyn Notices>);
    let up = source(&store, None).await;
    assert_eq!(heard.take(), [Notice::Up(up)]);
    (store, heard, up)
}

fn feed(store: &SqlStore) -> &dyn Feed {
    store.feed().unwrap()
}

#[tokio::test]
async fn every_change_of_another_node_is_told_before_the_next_beat_is_answered() {
    let database = Postgres::database().await;
    let (store, heard, up) = followed(database.url()).await;
    let other = open(database.url(), few()).await;
    let key = create(&other, &record()).await;
    let announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };

    let _ = other.commit(key, &write("cart", vec![1], Expect::Any), NOW).await.unwrap();
    let _ = other.commit(key, &sign_in("alice"), NOW).await.unwrap();
    let mut touch = Commit::new(None, ROOM);
    touch.touch = true;
    let _ = other.commit(key, &touch, NOW + Duration::from_secs(1)).await.unwrap();
    other.end(key, &Guard::None, announce, NOW).await.unwrap();
    feed(&store).beat(up).await.unwrap();
    assert_eq!(
        heard.take(),
        [
            Notice::Reached(key, 2),
            Notice::Reached(key, 3),
            // Used, and ended.
            Notice::Changed(key),
            Notice::Changed(key),
        ]
    );

    let over = create(&other, &record()).await;
    let later = NOW + Duration::from_secs(7200);
    let _ = other.create(over, &record(), None, later).await.unwrap();
    let much_later = later + Duration::from_secs(7200);
    let mut fresh = record();
    fresh.touched_at = later;
    let swept = create(&other, &fresh).await;
    other.expire(9, Keep::Nothing, much_later).await.unwrap();
    feed(&store).beat(up).await.unwrap();
    let told = heard.take();
    assert!(told.contains(&Notice::Changed(over)), "replaced: {told:?}");
    assert!(told.contains(&Notice::Changed(swept)), "swept: {told:?}");
}

#[tokio::test]
async fn a_lost_connection_takes_the_source_down_and_another_comes_up() {
    let server = Postgres::start().await;
    let (store, heard, first) = followed(&server.url()).await;
    let server = server.restart().await;
    let second = source(&store, Some(first)).await;
    assert_eq!(heard.take(), [Notice::Down(first), Notice::Up(second)]);
    assert!(matches!(feed(&store).beat(first).await, Err(Error::Unreachable(_))));
    feed(&store).beat(second).await.unwrap();

    feed(&store).reset(second);
    let third = source(&store, Some(second)).await;
    assert_eq!(heard.take(), [Notice::Down(second), Notice::Up(third)]);
    store.close().await;
    assert_eq!(heard.take(), [Notice::Down(third)]);
    drop(server);
}

#[tokio::test]
async fn a_beat_is_not_answered_by_a_server_that_hangs_or_only_reads() {
    let server = Postgres::start().await;
    let proxy = Proxy::to(server.addr()).await;
    let (store, _, up) = followed(&server.url_at(proxy.addr())).await;
    proxy.set(Mode::Hold);
    assert!(matches!(feed(&store).beat(up).await, Err(Error::Unanswered(_))));
    proxy.set(Mode::Pass);
    feed(&store).beat(up).await.unwrap();

    server.run("ALTER SYSTEM SET default_transaction_read_only = on");
    server.run("SELECT pg_reload_conf()");
    for _ in 0..500 {
        if let Err(error) = feed(&store).beat(up).await {
            assert!(matches!(error, Error::Refused(_)), "{error:?}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a server that only reads answers beats");
}

/// What cannot be read may be a newer version's word for anything.
#[tokio::test]
async fn what_is_not_understood_empties_the_cache() {
    let server = Postgres::start().await;
    let (store, heard, up) = followed(&server.url()).await;
    server.run("SELECT pg_notify('cloakroom_sessions', 'news of another kind')");
    feed(&store).beat(up).await.unwrap();
    assert_eq!(heard.take(), [Notice::Flushed(up)]);
}

#[tokio::test]
async fn who_tells_nothing_has_no_feed() {
    let database = Postgres::database().await;
    let silent = cloakroom_sql::Options { notify: false, ..few() };
    assert!(open(database.url(), silent).await.feed().is_none());
    let database = MariaDb::database().await;
    assert!(open(database.url(), few()).await.feed().is_none());
}

#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn mysql_tells_nothing_and_has_no_feed() {
    let database = MySql::database().await;
    assert!(open(database.url(), few()).await.feed().is_none());
}
