//! Two nodes that each have a cache, over a real Redis: nobody is shown an older page than they have
//! seen, and what has ended on one node is over on the other.

use cloakroom_testkit::servers::Redis;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tempfile::tempdir;

use crate::support::{BOUND, Demo, ask, becomes, browser, log_in, post, session, visit};

/// No more than a cart holds of one thing.
const ROUNDS: u64 = 60;

#[tokio::test]
async fn a_visitor_never_sees_an_older_page_on_the_other_node() {
    let redis = Redis::start().await;
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &["--store", &redis.url()]);
    let me = browser();
    log_in(&me, &demo, 0).await;
    for round in 1..=ROUNDS {
        let (writes, reads) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
        assert_eq!(visit(&me, &demo, writes).await, round);
        for node in [reads, writes, reads] {
            let page = session(&me, &demo, node).await;
            assert!(page.contains(&format!(r#""visits":{round},"#)), "round {round}: {page}");
            assert!(page.contains(r#""user":"alice""#), "round {round}: {page}");
        }
        let tea = json!({ "item": "tea", "quantity": 1 });
        let (_, answer) = post(&me, &demo, reads, "/api/cart", tea).await;
        assert_eq!(answer["cart"]["tea"], round);
        let page = session(&me, &demo, writes).await;
        assert!(page.contains(&format!(r#""tea":{round}"#)), "round {round}: {page}");
    }
}

#[tokio::test]
async fn reads_come_from_the_nodes_own_memory() {
    let redis = Redis::start().await;
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &["--store", &redis.url()]);
    let me = browser();
    log_in(&me, &demo, 0).await;
    // Until the cache trusts its feed, and the node has the session.
    let gets = || {
        let stats = redis.command(&["INFO", "commandstats"]);
        let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="));
        calls.map_or(0, |line| line.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    let asked = async || {
        let before = gets();
        for _ in 0..20 {
            session(&me, &demo, 1).await;
        }
        gets() - before
    };
    becomes("20 reads ask the server nothing", asked, |asked| *asked == 0).await;
}

/// The token's cookie that a response sets, and no other.
async fn signed_in_by_hand(demo: &Demo, node: usize) -> (Client, String) {
    let program = Client::builder().timeout(BOUND).user_agent("thief").build().unwrap();
    let login = program.post(demo.url(node, "/api/login"));
    let login = login.json(&json!({ "user": "alice", "password": "wonderland" }));
    let answer = login.send().await.unwrap();
    let set = answer.headers().get_all(SET_COOKIE).iter().map(|set| set.to_str().unwrap());
    let set: Vec<&str> = set.collect();
    assert_eq!(set.len(), 2, "the token and its fence: {set:?}");
    let [token, fence] = [set[0], set[1]].map(|set| set.split(';').next().unwrap().to_owned());
    let (name, _) = token.split_once('=').unwrap();
    assert!(fence.starts_with(&format!("{name}-v=")), "{set:?}");
    assert!(set[1].contains("; HttpOnly; Max-Age=5"), "{set:?}");
    (program, token)
}

#[tokio::test]
async fn what_ends_on_one_node_is_refused_by_the_other() {
    let redis = Redis::start().await;
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &["--store", &redis.url()]);
    for round in 0..4 {
        let (ends, other) = (round % 2, 1 - round % 2);
        let (program, token) = signed_in_by_hand(&demo, ends).await;
        let who = async |node| {
            let asked = program.get(demo.url(node, "/api/session")).header(COOKIE, &token);
            ask(asked).await.1["user"].clone()
        };
        for node in [ends, other] {
            for _ in 0..5 {
                assert_eq!(who(node).await, "alice", "both nodes have it");
            }
        }
        let logout = program.post(demo.url(ends, "/api/logout")).header(COOKIE, &token);
        assert_eq!(ask(logout).await.0, StatusCode::OK);
        assert!(who(ends).await.is_null(), "the node that ended it knows at once");
        becomes("the other node hears of it", async || who(other).await, |who| who.is_null()).await;
        for node in [other, ends, other, other] {
            assert!(who(node).await.is_null(), "and it never comes back");
        }
    }
}
