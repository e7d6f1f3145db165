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
