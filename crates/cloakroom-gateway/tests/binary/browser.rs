//! The page in a real browser.

use std::process::Command;

use rustix::process::Signal;
use tempfile::tempdir;

use crate::support::{Demo, answers, browser, log_in, session, signal, wait_until};
use crate::webdriver::{ARGUMENTS, Browser, CHROMIUM};

#[tokio::test]
async fn a_browser_shows_the_page() {
    let (dir, profile) = (tempdir().unwrap(), tempdir().unwrap());
    let demo = Demo::start(dir.path(), &[]);
    let output = Command::new(CHROMIUM)
        .args(ARGUMENTS)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--dump-dom", &demo.url(1, "/")])
        .output()
        .expect("the Debian package chromium is installed; scripts/test installs it");
    let dom = String::from_utf8_lossy(&output.stdout);
    for part in [
        r#"<html lang="en" data-node="b">"#,
        "Two nodes, one session.",
        r#"<label for="user">"#,
        r#"<label for="password">"#,
        "Sign in at node B",
        &format!(r#"href="{}""#, demo.url(0, "/")),
    ] {
        assert!(dom.contains(part), "{part} is not in {dom}");
    }
}

#[tokio::test]
async fn a_person_walks_through_both_nodes() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let elsewhere = browser();
    log_in(&elsewhere, &demo, 1).await;

    let person = Browser::start().await;
    person.visit(&demo.url(0, "/")).await;
    person.type_into("#user", "alice").await;
    person.type_into("#password", "wrong").await;
    person.click("#login").await;
    person.sees(".banner", "This name and this password do not belong together.").await;
    person.type_into("#user", "alice").await;
    person.type_into("#password", "wonderland").await;
    person.click("#login").await;
    person.sees("h1", "Welcome, alice.").await;
    person.click("#add-tea").await;
    person.sees("#of-tea", "1").await;
    person.click("#visit").await;
    person.sees("#count", "1").await;

    person.click("nav [data-of=b]").await;
    person.sees(".eyebrow", "Node B answered").await;
    person.sees("h1", "Welcome, alice.").await;
    person.sees("#of-tea", "1").await;
    person.sees(".sessions .current", "this one").await;
    person.sees(".sessions li:not(.current)", "curl").await;
    person.click(".sessions li:not(.current) button").await;
    person.sees(".trail li", "ended another session of yours").await;
    assert!(session(&elsewhere, &demo, 0).await.contains(r#""user":null"#));

    signal(demo.node_id(1), Signal::KILL);
    wait_until("node B ends", || !answers(demo.ports[1]));
    person.click("#visit").await;
    person.sees(".banner", "Node B does not answer.").await;
    person.click(".banner a").await;
    person.sees(".eyebrow", "Node A answered").await;
    person.sees("h1", "Welcome, alice.").await;
    person.click("#logout").await;
    person.sees("h1", "Two nodes, one session.").await;
    let inline = "return document.querySelectorAll('[style], style, script:not([src])').length";
    assert_eq!(person.run(inline).await, 0, "nothing that the policy would block");
}

/// The node that answers, as its page says.
async fn node(person: &Browser) -> (usize, &'static str, &'static str) {
    person.sees(".eyebrow", "answered").await;
    match person.run("return document.documentElement.dataset.node").await.as_str() {
        Some("a") => (0, "a", "b"),
        _ => (1, "b", "a"),
    }
}

async fn walks_by_one_address(store: &[&str]) {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), store);
    let person = Browser::start().await;
    person.visit(&demo.front_url("/")).await;
    person.sees(".lead", "by your address").await;
    person.type_into("#user", "alice").await;
    person.type_into("#password", "wonderland").await;
    person.click("#login").await;
    person.sees("h1", "Welcome, alice.").await;
    person.sees(".lead", "by your session’s key").await;
    person.click("#visit").await;
    person.sees("#count", "1").await;

    let (number, dead, other) = node(&person).await;
    person.click(&format!("#kill-{dead}")).await;
    person.sees(".eyebrow", &format!("Node {} answered", other.to_uppercase())).await;
    person.sees("h1", "Welcome, alice.").await;
    person.sees("#count", "1").await;
    person.sees(".lead", &format!("Node {} is down", dead.to_uppercase())).await;
    let colours = "return document.documentElement.dataset.node";
    assert_eq!(person.run(colours).await, other, "the whole page is the other node's");
    assert!(!answers(demo.ports[number]));
    demo.read_until("goes on with the same sessions");
    person.click("#visit").await;
    person.sees("#count", "2").await;

    person.click(&format!("#kill-{other}")).await;
    person.sees("h1", "Both nodes are down").await;
    person.click(&format!("#back-{dead}")).await;
    person.sees("h1", "Welcome, alice.").await;
    person.click(&format!("#back-{other}")).await;
    person.sees(".lead", "by your session’s key").await;
    assert_eq!(node(&person).await.0, number, "the key leads to the node that is back");
    person.click("#visit").await;
    person.sees("#count", "3").await;
    assert!(answers(demo.ports[0]) && answers(demo.ports[1]));
}

#[tokio::test]
async fn a_page_goes_on_at_the_other_node_when_one_is_killed() {
    walks_by_one_address(&[]).await;
}

#[tokio::test]
async fn nodes_in_one_process_are_killed_by_the_same_buttons() {
    walks_by_one_address(&["--store", "memory:"]).await;
}
