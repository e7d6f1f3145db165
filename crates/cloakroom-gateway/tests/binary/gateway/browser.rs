//! The gateway's pages in a real browser: signing in and out, coming back, and one's own sessions.

use axum::Router;
use axum::extract::Request;
use axum::response::Html;
use cloakroom_testkit::servers::Certificates;
use reqwest::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::backend::public;
use super::sockets::secured;
use super::support::{Gateway, browser, log_in, shop};
use crate::webdriver::{Browser, ENTER, TAB};

pub(super) const PASSWORD: &str = "wonderland-7";

/// A service of pages: each says its address and who asks, and leads to another.
pub(super) struct Pages {
    address: String,
    serving: AbortHandle,
}

impl Pages {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let app = Router::new().fallback(page);
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, serving: serving.abort_handle() }
    }

    /// A gateway in front of them, with alice among its users. `more`: of its configuration.
    pub(super) fn behind_gateway(&self, more: &str) -> Gateway {
        let away = r#"
[[upstream]]
name = "nowhere"
servers = ["http://127.0.0.1:1"]
[[rule]]
path = "/away"
access = "public"
upstream = "nowhere"
"#;
        let rules = [
            ("/order/**", "login"),
            ("/admin/**", "role:admin"),
            ("/sku/**", "deny"),
            ("/**", "public"),
        ];
        let shop = shop(&format!("http://{}", self.address), &rules);
        let gateway = Gateway::start(&format!("{away}{shop}{more}"));
        gateway.add_user("alice", PASSWORD, &[]);
        gateway
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn page(request: Request) -> Html<String> {
    let who = request.headers().get("x-user-id").map_or("nobody", |who| who.to_str().unwrap());
    let at = request.uri();
    Html(format!(
        "<!DOCTYPE html><h1>{at}</h1><p id=who>{who}</p><a id=next href=/order/next>Go on</a>"
    ))
}

/// Fills the login's form in and sends it.
pub(super) async fn sign_in(person: &Browser, password: &str) {
    person.run("document.getElementById('username').value = ''").await;
    person.type_into("#username", "alice").await;
    person.type_into("#password", password).await;
    person.click("#sign-in").await;
}

/// Waits until a page of the service is there, for alice.
async fn is_alice_at(person: &Browser, path: &str) {
    person.arrives(path).await;
    person.sees("h1", path).await;
    person.sees("#who", "alice").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_comes_back_and_signs_out() {
    let pages = Pages::start().await;
    let gateway = pages.behind_gateway("");
    let person = Browser::start().await;
    person.visit(&gateway.url("/order/7?gift=yes&to=b%C3%BCro")).await;
    person.sees("h1", "Sign in").await;
    assert!(person.url().await.contains("/.cloakroom/login?flow="), "{}", person.url().await);

    sign_in(&person, "wrong").await;
    person.sees("#problem", "do not belong together").await;
    let kept = "return [document.getElementById('username').value, \
                document.getElementById('password').value, document.activeElement.id]";
    assert_eq!(person.run(kept).await, json!(["alice", "", "password"]), "the name is kept");
    sign_in(&person, PASSWORD).await;
    is_alice_at(&person, "/order/7?gift=yes&to=b%C3%BCro").await;
    assert_eq!(person.run("return document.cookie").await, "", "no script sees a token");

    person.visit(&gateway.url("/.cloakroom/logout?return_to=/bye")).await;
    person.sees("b", "alice").await;
    person.click("#sign-out").await;
    person.sees("h1", "/bye").await;
    person.sees("#who", "nobody").await;
    person.click("#next").await;
    person.sees("h1", "Sign in").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_two_tabs_comes_back_to_its_own() {
    let pages = Pages::start().await;
    let gateway = pages.behind_gateway("");
    let person = Browser::start().await;
    let mut tabs = Vec::new();
    for path in ["/order/1", "/order/2", "/order/3"] {
        tabs.push(if tabs.is_empty() { person.window().await } else { person.open_tab().await });
        person.visit(&gateway.url(path)).await;
        person.sees("h1", "Sign in").await;
    }
    person.switch_to(&tabs[0]).await;
    sign_in(&person, PASSWORD).await;
    is_alice_at(&person, "/order/1").await;
    // One tab's form is sent though the other has signed in, one is loaded again.
    person.switch_to(&tabs[1]).await;
    sign_in(&person, PASSWORD).await;
    is_alice_at(&person, "/order/2").await;
    person.switch_to(&tabs[2]).await;
    person.visit(&person.url().await).await;
    is_alice_at(&person, "/order/3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_nobody_knows_leads_to_the_start_and_nowhere_else() {
    let pages = Pages::start().await;
    let gateway = pages.behind_gateway("");
    // Another browser's login is none of this one's.
    let other = browser();
    let sent = other.get(gateway.url("/order/theirs")).header("accept", "text/html");
    let sent = sent.header("sec-fetch-mode", "navigate").send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::FOUND);
    let theirs = sent.headers()["location"].to_str().unwrap().to_owned();

    let person = Browser::start().await;
    for flow in [
        "/.cloakroom/login?flow=AAAAAAAAAAAAAAAAAAAAAA",
        "/.cloakroom/login?flow=%3Cscript%3E",
        "/.cloakroom/login?return_to=https://evil.example/",
        &theirs,
    ] {
        person.visit(&gateway.url(flow)).await;
        sign_in(&person, PASSWORD).await;
        person.sees("#who", "alice").await;
        assert_eq!(person.url().await, gateway.url("/"), "{flow}");
        person.visit(&gateway.url("/.cloakroom/logout")).await;
        person.click("#sign-out").await;
        person.sees("#who", "nobody").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_ended_elsewhere_leads_to_the_login_and_back() {
    let pages = Pages::start().await;
    let gateway = pages.behind_gateway("");
    let person = Browser::start().await;
    person.visit(&gateway.url("/order/7")).await;
    sign_in(&person, PASSWORD).await;
    is_alice_at(&person, "/order/7").await;

    let elsewhere = browser();
    log_in(&elsewhere, &gateway, "alice", PASSWORD).await;
    let ended = elsewhere.delete(gateway.url("/.cloakroom/api/sessions")).send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::OK);
    person.click("#next").await;
    person.sees("h1", "Sign in").await;
    sign_in(&person, PASSWORD).await;
    is_alice_at(&person, "/order/next").await;

    // The page of one's sessions is no other in this.
    let ended = elsewhere.delete(gateway.url("/.cloakroom/api/sessions")).send().await.unwrap();
    assert_eq!(ended.status(), StatusCode::OK);
    person.visit(&gateway.url("/.cloakroom/me")).await;
    sign_in(&person, PASSWORD).await;
    person.arrives("/.cloakroom/me").await;
    person.sees("h1", "Your sessions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_sees_and_ends_their_sessions() {
    const COUNT: &str = "return document.querySelectorAll('.sessions li').length";
    let pages = Pages::start().await;
    let gateway = pages.behind_gateway("");
    let [phone, laptop, tablet] = [browser(), browser(), browser()];
    let agents = [
        (&phone, "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Safari/604.1"),
        (&laptop, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Firefox/140.0"),
        (&tablet, "curl/8.5.0"),
    ];
    for (client, agent) in agents {
        let login = client.post(gateway.url("/.cloakroom/api/login")).header("user-agent", agent);
        let login = login.json(&json!({ "username": "alice", "password": PASSWORD }));
        assert_eq!(login.send().await.unwrap().status(), StatusCode::OK);
    }
    let status = async |client: &reqwest::Client| {
        client.get(gateway.url("/order/7")).send().await.unwrap().status()
    };

    let person = Browser::start().await;
    person.visit(&gateway.url("/.cloakroom/me")).await;
    sign_in(&person, PASSWORD).await;
    person.sees(".sessions", "Chrome on Linux").await;
    person.sees(".sessions li:first-child", "this one").await;
    person.sees(".sessions", "Firefox on Windows").await;
    person.sees(".sessions", "127.0.0.1").await;
    assert_eq!(person.run(COUNT).await, 4);
    assert!(
        person
            .run("return document.querySelector('.sessions li:first-child form')")
            .await
            .is_null(),
        "this one is ended by signing out"
    );

    person.click("button[aria-label='End: Safari on iPhone']").await;
    person.sees("main", "End all others").await;
    assert_eq!(person.run(COUNT).await, 3);
    assert_eq!(status(&phone).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&laptop).await, StatusCode::OK);

    person.click("#end-others").await;
    person.sees(".sessions li:only-child", "this one").await;
    assert_eq!(person.run("return document.getElementById('end-others')").await, json!(null));
    for client in [&laptop, &tablet] {
        assert_eq!(status(client).await, StatusCode::UNAUTHORIZED);
    }
    person.click("#sign-out").await;
    person.sees("#who", "nobody").await;
}

/// Over plain HTTP a browser keeps no cookie that is for HTTPS, but at localhost.
#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_comes_by_plain_http_is_told_why_they_cannot_sign_in() {
    let pages = Pages::start().await;
    let gateway = pages.behind_gateway("[session]\nidle = \"30m\"\n");
    for (language, heading) in [("en-GB", "Please come by HTTPS"), ("zh-CN", "请通过 HTTPS")] {
        let accepted = format!("--accept-lang={language}");
        let known = "--host-resolver-rules=MAP shop.example 127.0.0.1";
        let person = Browser::start_with(&[known, &accepted]).await;
        person.visit(&format!("http://shop.example:{}/order/7", gateway.port)).await;
        sign_in(&person, PASSWORD).await;
        person.sees("h1", heading).await;
        person.visit(&gateway.url("/order/7")).await;
        sign_in(&person, PASSWORD).await;
        is_alice_at(&person, "/order/7").await;
    }
}

/// The page's policy holds where its forms lead, and Chromium holds the redirects after them to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_leads_back_to_another_host_that_is_listed() {
    let pages = Pages::start().await;
    let signed = Certificates::make();
    let other = secured(&signed, &public(&[format!("http://{}", pages.address)], ""));
    let gateway = pages.behind_gateway("[login]\nreturn_hosts = [\"www.shop.example\"]\n");
    let known = format!("--host-resolver-rules=MAP www.shop.example:443 127.0.0.1:{}", other.port);
    let person = Browser::start_with(&[&known, "--ignore-certificate-errors"]).await;
    let back = "https://www.shop.example/from?there=1";
    person.visit(&gateway.url(&format!("/.cloakroom/login?return_to={back}"))).await;
    sign_in(&person, "wrong").await;
    person.sees("#problem", "do not belong together").await;
    sign_in(&person, PASSWORD).await;
    person.arrives(back).await;
    person.sees("h1", "/from?there=1").await;
    person.visit(&gateway.url(&format!("/.cloakroom/logout?return_to={back}"))).await;
    person.click("#sign-out").await;
    person.arrives(back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_is_in_chinese_and_goes_by_keyboard_alone() {
    let pages = Pages::start().await;
    let gateway = pages.behind_gateway("[login]\nremember = \"30 days\"\n");
    let person = Browser::start_with(&["--accept-lang=zh-CN"]).await;
    person.visit(&gateway.url("/order/7")).await;
    person.sees("h1", "登录").await;
    assert_eq!(person.run("return document.documentElement.lang").await, "zh-Hans");
    // The first field has the focus already.
    person.press(&format!("alice{TAB}wrong{ENTER}")).await;
    person.sees("#problem", "用户名").await;
    let described = "return document.activeElement.getAttribute('aria-describedby')";
    assert_eq!(person.run(described).await, "problem", "a screen reader says what is wrong");
    person.press(&format!("{PASSWORD}{TAB} {TAB}{ENTER}")).await;
    is_alice_at(&person, "/order/7").await;

    person.visit(&gateway.url("/.cloakroom/me")).await;
    person.sees("h1", "您的会话").await;
    person.press(&format!("{TAB}{ENTER}")).await;
    person.sees("#who", "nobody").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_outlives_the_browser_where_that_was_asked_for() {
    let pages = Pages::start().await;
    let gateway = pages.behind_gateway("[login]\nremember = \"30 days\"\n");
    let profile = TempDir::new().unwrap();
    for remember in [false, true] {
        let person = Browser::start_in(profile.path()).await;
        person.visit(&gateway.url("/order/7")).await;
        person.sees("h1", "Sign in").await;
        if remember {
            person.click("#remember").await;
        }
        sign_in(&person, PASSWORD).await;
        is_alice_at(&person, "/order/7").await;
    }
    let person = Browser::start_in(profile.path()).await;
    person.visit(&gateway.url("/order/7")).await;
    is_alice_at(&person, "/order/7").await;
}
