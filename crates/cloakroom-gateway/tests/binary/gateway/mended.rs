//! What an attacker once got out of the gateway, and does not get any more.

use reqwest::StatusCode;
use serde_json::json;

use super::origin::Origin;
use super::support::{Gateway, browser, shop, whole};
use crate::support::{becomes, free_port};

const OFFICE: &str = r#"
[[rule]]
path = "/office/**"
access = "public"
allow_from = ["127.0.0.0/8"]
upstream = "shop"
"#;

/// `before`: what stands at the beginning of the file.
fn config(before: &str, origin: &Origin) -> String {
    let rest = shop(&origin.url(), &[("/order/**", "login"), ("/**", "public")]);
    format!("{before}\n{OFFICE}{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_header_stays_at_the_gateway() {
    let origin = Origin::start("shop").await;
    let gateway = Gateway::start(&config("", &origin));
    gateway.add_user("alice", "wonderland-7", &[]);
    let client = browser();
    let login = client
        .post(gateway.url("/.cloakroom/api/login"))
        .header("authorization", "Bearer")
        .json(&json!({ "username": "alice", "password": "wonderland-7" }));
    let answer = login.send().await.unwrap();
    let token = answer.headers()["x-session-token"].to_str().unwrap().to_owned();
    let seen = client
        .get(gateway.url("/order/7"))
        .bearer_auth(&token)
        .header("cloakroom-version", "1")
        .send()
        .await
        .unwrap();
    assert_eq!(seen.status(), StatusCode::OK);
    let seen: serde_json::Value = seen.json().await.unwrap();
    assert_eq!(seen["headers"]["x-user-id"][0], "alice");
    assert!(!seen.to_string().contains(&token), "{seen}");
    assert!(seen["headers"]["cloakroom-version"].is_null(), "{seen}");
    let other = client.get(gateway.url("/")).bearer_auth("the.services.own");
    let other: serde_json::Value = other.send().await.unwrap().json().await.unwrap();
    assert_eq!(other["headers"]["authorization"][0], "Bearer the.services.own");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_trusted_proxy_cannot_name_is_in_no_network() {
    let origin = Origin::start("shop").await;
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let text = format!("trusted_proxies = [\"127.0.0.1\"]\n{}", whole(&config("", &origin), port));
    std::fs::write(dir.path().join("cloakroom.toml"), text).unwrap();
    let gateway = Gateway::run(dir, port, &[]);
    let client = browser();
    for (hops, expected) in [
        ("127.0.0.9", StatusCode::OK),
        ("203.0.113.9", StatusCode::FORBIDDEN),
        ("unknown", StatusCode::FORBIDDEN),
        ("127.0.0.9, unknown", StatusCode::FORBIDDEN),
    ] {
        let asked = client.get(gateway.url("/office/x")).header("x-forwarded-for", hops);
        assert_eq!(asked.send().await.unwrap().status(), expected, "{hops}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_pages_take_small_bodies_only_and_paths_have_one_reading() {
    let origin = Origin::start("shop").await;
    let gateway = Gateway::start(&config("", &origin));
    let client = browser();
    let large = client.post(gateway.url("/.cloakroom/login")).body(vec![b'a'; 65 * 1024]);
    assert_eq!(large.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    for path in ["/order%3Bx", "/order%3bx/7", "/%C0%AForder"] {
        let answer = client.get(gateway.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(origin.asked(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_tried_until_what_it_needs_is_there() {
    let origin = Origin::start("shop").await;
    let gateway = Gateway::start_logged(&config("", &origin));
    let client = browser();
    let status = async || {
        let answer = client.get(gateway.url("/gone")).send().await.unwrap();
        answer.status()
    };
    let logo = gateway.dir.path().join("logo.svg");
    std::fs::write(&logo, vec![b' '; 600 * 1024]).unwrap();
    let deny = "[[rule]]\npath = \"/gone\"\naccess = \"deny\"\n";
    gateway.rewrite(&config(&format!("[login]\nlogo = \"logo.svg\"\n{deny}"), &origin));
    // The logo is too large.
    let refused = |log: &String| log.contains("the configuration before stays in force");
    becomes("it is refused", async || gateway.log(), refused).await;
    assert_eq!(status().await, StatusCode::OK);
    std::fs::write(&logo, "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").unwrap();
    becomes("it is taken up", status, |status| *status == StatusCode::FORBIDDEN).await;
}
