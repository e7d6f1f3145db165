//! Servers and gateways that die, hang and come back, while requests go on.

#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cloakroom_testkit::servers::Redis;
use reqwest::{Client, StatusCode};
use tempfile::TempDir;

use super::backend::{Backend, public, until};
use super::support::{Gateway, add_user, browser, log_in, whole};
use crate::support::{becomes, free_port};

/// Clients that ask without a pause.
const CLIENTS: u64 = 12;

/// What clients were answered.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    good: AtomicU64,
    lost_posts: AtomicU64,
}

/// Asks until it is told to stop: three times in four a GET, which has to be served, then a POST,
/// which may fail.
async fn go_on(told: Arc<Told>, client: Client, url: String, number: u64) {
    for turn in 0.. {
        if told.stop.load(Ordering::SeqCst) {
            return;
        }
        let id = format!("{number}-{turn}");
        if turn % 4 == 3 {
            let sent = client.post(&url).header("x-id", id).body("buy").send().await;
            match sent.expect("the gateway answers").status() {
                StatusCode::OK => told.good.fetch_add(1, Ordering::SeqCst),
                StatusCode::BAD_GATEWAY => told.lost_posts.fetch_add(1, Ordering::SeqCst),
                other => panic!("a POST is answered with {other}"),
            };
        } else {
            let sent = client.get(&url).header("x-id", id).send().await;
            assert_eq!(sent.expect("the gateway answers").status(), StatusCode::OK);
            told.good.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Waits until `count` has grown by so much.
async fn grows(what: &str, by: u64, count: impl Fn() -> u64) {
    let before = count();
    until(what, || count() >= before + by).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_killed_under_load_and_no_idempotent_request_fails() {
    let (mut a, b) = (Backend::start("a").await, Backend::start("b").await);
    let gateway = Gateway::start(&public(&[a.url(), b.url()], ""));
    let told = Arc::new(Told::default());
    let url = gateway.url("/");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(go_on(Arc::clone(&told), browser(), url.clone(), number)))
        .collect();
    for _ in 0..3 {
        grows("a has work", 100, || a.asked()).await;
        a.kill();
        grows("b has all of the work", 200, || b.asked()).await;
        a.come_back().await;
    }
    grows("a has work again", 100, || a.asked()).await;
    told.stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("no idempotent request fails");
    }
    let mut ids = a.ids();
    for (id, count) in b.ids() {
        *ids.entry(id).or_default() += count;
    }
    let posts = ids.iter().filter(|(id, _)| {
        let turn: u64 = id.split('-').next_back().unwrap().parse().unwrap();
        turn % 4 == 3
    });
    let posts: Vec<_> = posts.collect();
    assert!(posts.iter().all(|(_, count)| **count == 1), "a POST was sent twice: {posts:?}");
    println!(
        "served {}, POSTs that arrived {}, POSTs answered with 502 {}",
        told.good.load(Ordering::SeqCst),
        posts.len(),
        told.lost_posts.load(Ordering::SeqCst),
    );
}

async fn who(client: &Client, gateway: &Gateway) -> String {
    let answer = client.get(gateway.url("/")).send().await.expect("the gateway answers");
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.expect("a name")
}

/// Asks so often that each of a few servers has its turn.
async fn several(client: &Client, gateway: &Gateway) -> Vec<String> {
    let mut names = Vec::new();
    for _ in 0..12 {
        names.push(who(client, gateway).await);
    }
    names.sort();
    names.dedup();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_take_a_server_out_and_bring_it_back() {
    for scheme in ["http", "h2c"] {
        let (a, b) = (Backend::start("a").await, Backend::start("b").await);
        let servers = [&a, &b].map(|server| format!("{scheme}://{}", server.address));
        let checks = "[upstream.health]\npath = \"/health\"\nevery = \"50ms\"\n\
                      timeout = \"2s\"\nup_after = 2\ndown_after = 2\n";
        let gateway = Gateway::start(&public(&servers, checks));
        let client = browser();
        let ask = async || several(&client, &gateway).await;
        becomes("both have work", ask, |names| names.len() == 2).await;
        a.state.well.store(false, Ordering::SeqCst);
        becomes("a is out", ask, |names| *names == ["b"]).await;
        // Neither is well: it is tried all the same.
        b.state.well.store(false, Ordering::SeqCst);
        becomes("both are tried", ask, |names| names.len() == 2).await;
        b.state.well.store(true, Ordering::SeqCst);
        becomes("b is back", ask, |names| *names == ["b"]).await;
        // Silence is no good answer.
        a.state.well.store(true, Ordering::SeqCst);
        becomes("a is back", ask, |names| names.len() == 2).await;
        drop(gateway);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_costs_one_timeout() {
    const ASKED: u64 = 80;
    let (a, b) = (Backend::start("a").await, Backend::start("b").await);
    let timeouts = "[upstream.timeouts]\nresponse = \"300ms\"\n";
    let gateway = Gateway::start(&public(&[a.url(), b.url()], timeouts));
    let client = browser();
    a.state.mute.store(true, Ordering::SeqCst);
    let mut late = 0;
    for _ in 0..ASKED {
        match client.get(gateway.url("/")).send().await.unwrap().status() {
            StatusCode::OK => {}
            StatusCode::GATEWAY_TIMEOUT => late += 1,
            other => panic!("{other}"),
        }
    }
    // It is tried again after a second, and after two more: a slow machine may come as far as that.
    assert!((1..=6).contains(&late), "{late} of {ASKED} waited in vain");
    assert_eq!(a.asked(), late, "each of them was sent once");
    assert_eq!(b.asked(), ASKED - late);
    a.state.mute.store(false, Ordering::SeqCst);
    grows_by_asking(&client, &gateway, &a).await;
}

async fn grows_by_asking(client: &Client, gateway: &Gateway, server: &Backend) {
    let before = server.asked();
    let ask = async || {
        _ = client.get(gateway.url("/")).send().await;
        server.asked()
    };
    becomes("it has work again", ask, |now| *now > before + 5).await;
}

/// Two gateways with the same store, users and keys.
async fn two_gateways(redis: &Redis, shared: &TempDir, upstream: &str) -> [Gateway; 2] {
    let place = shared.path().display();
    let config = format!(
        "[store]\nurl = \"{}\"\n[login]\nusers = \"sqlite://{place}/users.db\"\n\
         [identity]\nkeys = \"{place}/keys\"\n{upstream}",
        redis.url()
    );
    [(), ()].map(|()| Gateway::start(&config))
}

fn with_login(servers: &[String], lines: &str) -> String {
    format!(
        "[[upstream]]\nname = \"app\"\nservers = {servers:?}\n{lines}\n\
         [[rule]]\npath = \"/order/**\"\naccess = \"login\"\n\
         [[rule]]\npath = \"/**\"\naccess = \"public\"\nanonymous_id = true\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_of_two_is_killed_and_sessions_live_on() {
    let (redis, shared) = (Redis::start().await, TempDir::new().unwrap());
    let app = Backend::start("app").await;
    let [mut first, second] = two_gateways(&redis, &shared, &with_login(&[app.url()], "")).await;
    for user in ["alice", "bob", "carol"] {
        first.add_user(user, "wonderland-7", &[]);
    }
    let clients = [browser(), browser(), browser()];
    log_in(&clients[0], &first, "alice", "wonderland-7").await;
    log_in(&clients[1], &second, "bob", "wonderland-7").await;
    let is_served = async |client: &Client, gateway: &Gateway, user: &str| {
        let sent = client.get(gateway.url("/order/1")).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
        assert_eq!(app.last()["x-user-id"], user);
    };
    for gateway in [&first, &second, &first] {
        is_served(&clients[0], gateway, "alice").await;
        is_served(&clients[1], gateway, "bob").await;
    }
    let anonymous = async |gateway: &Gateway| {
        let sent = clients[2].get(gateway.url("/cart")).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
        app.last()["x-anonymous-id"].clone()
    };
    let visitor = anonymous(&first).await;
    first.kill();
    for _ in 0..20 {
        is_served(&clients[0], &second, "alice").await;
        is_served(&clients[1], &second, "bob").await;
    }
    assert_eq!(anonymous(&second).await, visitor, "the keys are shared");
    log_in(&clients[2], &second, "carol", "wonderland-7").await;
    let out = clients[1].post(second.url("/.cloakroom/api/logout"));
    assert!(out.header("origin", second.url("")).send().await.unwrap().status().is_success());
    // It comes back, and knows what happened meanwhile.
    let (port, config) = (first.port, std::fs::read_to_string(first.file()).unwrap());
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("cloakroom.toml"), whole(&config, port)).unwrap();
    let first = Gateway::run(dir, port, &[]);
    is_served(&clients[0], &first, "alice").await;
    is_served(&clients[2], &first, "carol").await;
    let sent = clients[1].get(first.url("/order/1")).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::UNAUTHORIZED, "bob has logged out");
}

/// Where each client is led to.
async fn led(clients: &[Client], url: &str) -> Vec<String> {
    let mut names = Vec::new();
    for client in clients {
        let answer = client.get(url).send().await.expect("the gateway answers");
        assert_eq!(answer.status(), StatusCode::OK);
        names.push(answer.text().await.expect("a name"));
    }
    names
}

/// Asserts that those that were on `gone` have moved, and nobody else.
fn only_moved(before: &[String], after: &[String], gone: &str) {
    for (before, after) in before.iter().zip(after) {
        assert_eq!(before != after, before == gone, "{before} {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_a_dead_server_move_and_only_they() {
    let (redis, shared) = (Redis::start().await, TempDir::new().unwrap());
    let mut servers =
        [Backend::start("a").await, Backend::start("b").await, Backend::start("c").await];
    let urls = servers.each_ref().map(Backend::url);
    let config = with_login(&urls, "balance = \"sticky\"");
    let [gateway, other] = two_gateways(&redis, &shared, &config).await;
    add_user(gateway.dir.path(), "alice", "wonderland-7", &[]);
    let clients: Vec<Client> = (0..30).map(|_| browser()).collect();
    for client in &clients[..3] {
        log_in(client, &gateway, "alice", "wonderland-7").await;
    }
    // The first answer gives anonymous visitors their ids.
    led(&clients, &gateway.url("/")).await;
    let before = led(&clients, &gateway.url("/")).await;
    assert_eq!(led(&clients, &gateway.url("/x")).await, before);
    assert_eq!(led(&clients, &other.url("/")).await, before, "every node leads to the same");
    // Whoever has most clients dies: of 30, nobody has none.
    let most = (0..3).max_by_key(|n| before.iter().filter(|name| **name == NAMES[*n]).count());
    let (most, gone) = (most.unwrap(), NAMES[most.unwrap()]);
    servers[most].kill();
    let after = led(&clients, &gateway.url("/")).await;
    only_moved(&before, &after, gone);
    assert_eq!(led(&clients, &gateway.url("/")).await, after);
    assert_eq!(led(&clients, &other.url("/")).await, after);
    servers[most].come_back().await;
    let ask = async || led(&clients, &gateway.url("/")).await;
    becomes("all are where they were", ask, |now| *now == before).await;
}

const NAMES: [&str; 3] = ["a", "b", "c"];

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_leads_to_its_server() {
    let mut servers =
        [Backend::start("a").await, Backend::start("b").await, Backend::start("c").await];
    let urls = servers.each_ref().map(Backend::url);
    let gateway = Gateway::start(&public(&urls, "balance = \"cookie:server\""));
    let clients: Vec<Client> = (0..12).map(|_| browser()).collect();
    let url = gateway.url("/");
    let before = led(&clients, &url).await;
    assert!(NAMES.iter().all(|name| before.iter().any(|other| other == name)), "{before:?}");
    assert_eq!(led(&clients, &url).await, before);
    assert!(servers.iter().all(|server| !server.last().contains_key("cookie")));
    let set = browser().get(&url).send().await.unwrap().headers()["set-cookie"].clone();
    let set = set.to_str().unwrap();
    assert!(set.starts_with("server=") && set.ends_with("; Path=/; HttpOnly; SameSite=Lax"));
    assert!(!set.contains("127.0.0.1"), "{set}");
    let told = clients[0].get(&url).send().await.unwrap();
    assert!(!told.headers().contains_key("set-cookie"), "it has it already");
    servers[0].kill();
    let after = led(&clients, &url).await;
    only_moved(&before, &after, "a");
    servers[0].come_back().await;
    assert_eq!(led(&clients, &url).await, after, "nobody moves without need");
    let fresh = async || led(&[browser(), browser(), browser()], &url).await;
    becomes("a gets new clients", fresh, |names| names.iter().any(|name| name == "a")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_with_the_least_to_do_is_asked() {
    let servers = [Backend::start("a").await, Backend::start("b").await];
    let urls = servers.each_ref().map(Backend::url);
    let gateway = Gateway::start(&public(&urls, "balance = \"least-connections\""));
    let client = browser();
    let hold = || {
        let (client, url) = (client.clone(), gateway.url("/hold"));
        tokio::spawn(async move { client.get(url).send().await.unwrap().text().await.unwrap() })
    };
    let held = || servers.each_ref().map(Backend::held);
    let mut holding = Vec::new();
    for count in 1..=6 {
        holding.push(hold());
        until("it is held", || held().iter().sum::<u64>() == count).await;
        let now = held();
        assert!(now[0].abs_diff(now[1]) <= 1, "{now:?}");
    }
    // One more is held, and all others go to the other.
    holding.push(hold());
    until("it is held", || held().iter().sum::<u64>() == 7).await;
    let idle = if held()[0] < held()[1] { "a" } else { "b" };
    for _ in 0..20 {
        assert_eq!(who(&client, &gateway).await, idle);
    }
    for server in &servers {
        server.state.release.send_replace(true);
    }
    for one in holding {
        one.await.unwrap();
    }
    // Nobody has anything to do: they take turns.
    let ask = async || several(&client, &gateway).await;
    becomes("they take turns", ask, |names| names.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_under_load_is_a_503_and_no_logout() {
    let mut redis = Redis::start().await;
    let shared = TempDir::new().unwrap();
    let app = Backend::start("app").await;
    let config = format!(
        "[store]\nurl = \"{}\"\n[login]\nusers = \"sqlite://{}/users.db\"\n{}",
        redis.url(),
        shared.path().display(),
        with_login(&[app.url()], ""),
    );
    let gateway = Gateway::start(&config);
    gateway.add_user("alice", "wonderland-7", &[]);
    let told = Arc::new(Mutexed::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..6 {
        let client = browser();
        log_in(&client, &gateway, "alice", "wonderland-7").await;
        let (login, public) = (gateway.url("/order/1"), gateway.url("/item/1"));
        let (told, stop) = (Arc::clone(&told), Arc::clone(&stop));
        clients.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                // One that takes longer than the bound fails here.
                let kind = if number % 3 == 2 { "public" } else { "login" };
                let url = if kind == "public" { &public } else { &login };
                let answer = client.get(url).send().await.expect("an answer in time");
                let status = answer.status();
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    assert!(answer.headers().contains_key("retry-after"));
                    assert!(!answer.headers().contains_key("set-cookie"));
                }
                *told.0.lock().unwrap().entry((kind, status)).or_default() += 1;
            }
        }));
    }
    let count = |kind, status| {
        let told = told.0.lock().unwrap();
        told.get(&(kind, status)).copied().unwrap_or_default()
    };
    let (ok, away) = (StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE);
    grows("users are served", 50, || count("login", ok)).await;
    redis.kill();
    grows("login routes say that they cannot", 20, || count("login", away)).await;
    grows("public routes go on", 20, || count("public", ok)).await;
    let _redis = redis.restart().await;
    grows("users are back", 50, || count("login", ok)).await;
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("nobody hangs");
    }
    let told = told.0.lock().unwrap().clone();
    println!("{told:?}");
    let known = [("login", ok), ("login", away), ("public", ok)];
    assert!(told.keys().all(|key| known.contains(key)), "{told:?}");
}

#[derive(Default)]
struct Mutexed(std::sync::Mutex<HashMap<(&'static str, StatusCode), u64>>);

#[tokio::test(flavor = "multi_thread")]
async fn nobody_behind_the_gateway_is_a_502_and_no_wait() {
    let gone = format!("http://127.0.0.1:{}", free_port());
    let gateway = Gateway::start(&public(&[gone], ""));
    let client = browser();
    for _ in 0..5 {
        let answer = client.get(gateway.url("/")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_which_server_failed_and_why() {
    let gone = free_port();
    let mute = Backend::start("mute").await;
    mute.state.mute.store(true, Ordering::SeqCst);
    let upstream = |name: &str, server: &str| {
        format!(
            "[[upstream]]\nname = \"{name}\"\nservers = [\"{server}\"]\n\
             timeouts = {{ response = \"100ms\" }}\n[[rule]]\npath = \"/{name}\"\n\
             access = \"public\"\nupstream = \"{name}\"\n"
        )
    };
    let gone_url = format!("http://127.0.0.1:{gone}");
    let gateway =
        Gateway::start_logged(&(upstream("gone", &gone_url) + &upstream("mute", &mute.url())));
    let client = browser();
    for (path, status) in
        [("/gone", StatusCode::BAD_GATEWAY), ("/mute", StatusCode::GATEWAY_TIMEOUT)]
    {
        let answer = client.post(gateway.url(path)).body("x").send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    let written = gateway.log();
    let line = |mark: &str| written.lines().find(|line| line.contains(mark)).unwrap_or(&written);
    let first = line("could not be reached");
    for said in
        ["gone", &gone_url, &format!("no connection to 127.0.0.1:{gone}: Connection refused")]
    {
        assert!(first.contains(said), "{said}: {first}");
    }
    let second = line("did not answer in time");
    for said in ["mute", &mute.url(), "no answer within 100ms"] {
        assert!(second.contains(said), "{said}: {second}");
    }
}
