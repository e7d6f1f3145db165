//! What people and programs are told.

use cloakroom::Head;
use http::header::SET_COOKIE;
use http::{Method, StatusCode};

use super::support::{Browser, settings, world};
use crate::pages::Problem;

#[tokio::test]
async fn programs_are_told_and_never_sent() {
    let world = world(settings()).await;
    let mut request = Browser::default().request(Method::GET, "/order", "");
    request.headers_mut().insert("sec-fetch-mode", "cors".parse().unwrap());
    let before = world.store.total();
    let told = world.desk.sign_in_first(Head::from(&request)).await.unwrap();
    assert_eq!(told.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(told.headers()["content-type"], "application/json");
    assert!(!told.headers().contains_key(SET_COOKIE));
    let form = Browser::default().request(Method::POST, "/order", "");
    let problem = world.desk.sign_in_first(Head::from(&form)).await.unwrap_err();
    assert_eq!(problem, Problem::NotSignedIn);
    assert_eq!(world.store.total(), before, "nothing is begun for them");
}

#[tokio::test]
async fn programs_sign_in_with_a_token_in_a_header() {
    let world = world(settings()).await;
    let mut client = Browser { no_fetch_headers: true, ..Browser::default() };
    let json = |client: &Browser, method, path: &str, token: &str, body: &str| {
        let mut request = client.request(method, path, body);
        let headers = request.headers_mut();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("authorization", format!("Bearer {token}").trim().parse().unwrap());
        request
    };
    let wrong = r#"{"username":"alice","password":"wrong"}"#;
    let request = json(&client, Method::POST, "/.cloakroom/api/login", "", wrong);
    let answer = client.send(&world, request).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.contains("wrong_credentials"), "{}", answer.body);
    let right = r#"{"username":"alice","password":"wonderland"}"#;
    let request = json(&client, Method::POST, "/.cloakroom/api/login", "", right);
    let answer = client.send(&world, request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(client.cookies.is_empty(), "{:?}", client.cookies);
    let token = answer.headers["x-session-token"].to_str().unwrap().to_owned();
    let request = json(&client, Method::GET, "/.cloakroom/api/sessions", &token, "");
    let listed: serde_json::Value =
        serde_json::from_str(&client.send(&world, request).await.body).unwrap();
    let first = &listed["sessions"][0];
    assert_eq!(first["device"], "Firefox on Linux");
    assert!(first["current"] == true && first["address"] == "192.0.2.0", "{listed}");
    let path = "/.cloakroom/api/sessions/nonsense";
    let request = json(&client, Method::DELETE, path, &token, "");
    assert_eq!(client.send(&world, request).await.status, StatusCode::NOT_FOUND);
    let request = json(&client, Method::POST, "/.cloakroom/api/logout", &token, "");
    assert_eq!(client.send(&world, request).await.status, StatusCode::OK);
    let request = json(&client, Method::GET, "/.cloakroom/api/me", &token, "");
    let answer = client.send(&world, request).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.contains("to /.cloakroom/api/login"), "{}", answer.body);
    let request =
        json(&client, Method::POST, "/.cloakroom/api/login", "", "{\"username\":\"hunter2\"");
    let answer = client.send(&world, request).await;
    assert!(answer.status == 400 && !answer.body.contains("hunter2"), "{}", answer.body);
    assert!(answer.body.contains("the body is not valid JSON"), "{}", answer.body);
    assert!(!answer.body.contains("a link"), "it speaks to a program: {}", answer.body);
}

#[tokio::test]
async fn pages_say_what_they_should_in_both_languages() {
    let world = world(settings()).await;
    let browser = Browser::default();
    for (accepted, language, heading) in [("en", "en", "Sign in"), ("zh-TW", "zh-Hans", "登录")] {
        let mut request = browser.request(Method::GET, "/.cloakroom/login", "");
        request.headers_mut().insert("accept-language", accepted.parse().unwrap());
        let answer = browser.clone().send(&world, request).await;
        assert!(answer.body.contains(&format!("lang=\"{language}\"")));
        assert!(answer.body.contains(&format!("<h1>{heading}</h1>")), "{}", answer.body);
        for field in ["username", "password", "remember"] {
            assert!(answer.body.contains(&format!("for=\"{field}\"")), "{field} has a label");
        }
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.headers.contains_key("content-security-policy"));
    }
    let wrong =
        browser.clone().send(&world, browser.request(Method::PUT, "/.cloakroom/login", "")).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(wrong.headers.contains_key("allow") && wrong.body.contains("<h1>"), "{}", wrong.body);
}
