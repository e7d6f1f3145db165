//! The way of a request: denied, public, login, role; and what the service behind is told.

use reqwest::StatusCode;

use super::origin::Origin;
use super::support::{Gateway, browser, log_in, shop, told};

const RULES: [(&str, &str); 4] =
    [("/sku/**", "deny"), ("/order/**", "login"), ("/admin/**", "role:admin"), ("/**", "public")];

#[tokio::test(flavor = "multi_thread")]
async fn rules_decide_and_services_are_told_who_asks() {
    let origin = Origin::start("shop").await;
    let gateway = Gateway::start(&shop(&origin.url(), &RULES));
    gateway.add_user("alice", "wonderland-7", &["buyer"]);
    gateway.add_user("root", "correct horse", &["admin"]);
    let client = browser();
    let status = async |path: &str| {
        let answer = client.get(gateway.url(path)).send().await.unwrap();
        answer.status()
    };

    assert_eq!(status("/sku/7").await, StatusCode::FORBIDDEN);
    assert_eq!(status("/order/7").await, StatusCode::UNAUTHORIZED);
    assert_eq!(origin.asked(), 0);
    let seen = told(&client, &gateway, "/item?x=1").await;
    assert_eq!(seen["target"], "/item?x=1");
    assert!(seen["headers"]["x-user-id"].is_null());

    log_in(&client, &gateway, "alice", "wonderland-7").await;
    let seen = told(&client, &gateway, "/order/7").await;
    assert_eq!(seen["headers"]["x-user-id"][0], "alice");
    assert_eq!(seen["headers"]["x-user-roles"][0], "buyer");
    assert!(seen["headers"]["cookie"].is_null(), "our cookies go no further: {seen}");
    assert_eq!(status("/admin").await, StatusCode::FORBIDDEN);

    log_in(&client, &gateway, "root", "correct horse").await;
    assert_eq!(status("/admin").await, StatusCode::OK);
}
