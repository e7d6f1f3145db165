//! What people and services are shown: names in any script, and problems in the theme's look.

use reqwest::StatusCode;

use super::origin::Origin;
use super::support::{Gateway, browser, log_in, shop, told};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_any_script_is_told_and_a_problem_says_whose_it_is() {
    let origin = Origin::start("shop").await;
    let rules = shop(&origin.url(), &[("/sku/**", "deny"), ("/**", "login")]);
    let gateway = Gateway::start(&format!("[login]\ntitle = \"The Shop & Co\"\n{rules}"));
    gateway.add_user("张伟 100%", "wonderland-7", &["buyer"]);
    let client = browser();
    log_in(&client, &gateway, "张伟 100%", "wonderland-7").await;
    let seen = told(&client, &gateway, "/order/7").await;
    assert_eq!(seen["headers"]["x-user-id"][0], "%E5%BC%A0%E4%BC%9F%20100%25");
    assert_eq!(seen["headers"]["x-user-roles"][0], "buyer");

    for (path, status) in
        [("/sku/7", StatusCode::FORBIDDEN), ("/.cloakroom/none", StatusCode::NOT_FOUND)]
    {
        let asking = client.get(gateway.url(path)).header("accept", "text/html");
        let answer = asking.send().await.unwrap();
        assert_eq!(answer.status(), status);
        let page = answer.text().await.unwrap();
        assert!(page.contains("The Shop &amp; Co"), "{page}");
    }
}
