//! The interface for programs: what each path answers, and how it refuses.

use reqwest::header::{ALLOW, CONTENT_TYPE, HeaderMap, SET_COOKIE};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{Demo, ask, browser, log_in, post, session, visit};

#[tokio::test]
async fn a_program_goes_through_the_shop() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();

    let looked = me.get(demo.url(0, "/api/session")).send().await.unwrap();
    assert!(looked.headers().get(SET_COOKIE).is_none(), "looking makes no session");
    let empty = r#"{"node":"a","user":null,"visits":0,"cart":{},"new":true}"#;
    assert_eq!(looked.text().await.unwrap(), empty);

    assert_eq!(visit(&me, &demo, 0).await, 1);
    let tea = json!({ "item": "tea", "quantity": 2 });
    let (_, answer) = post(&me, &demo, 1, "/api/cart", tea.clone()).await;
    assert_eq!(answer, json!({ "node": "b", "cart": { "tea": 2 } }));
    let (_, answer) = post(&me, &demo, 0, "/api/cart", tea).await;
    assert_eq!(answer, json!({ "node": "a", "cart": { "tea": 4 } }));

    let credentials = json!({ "user": "alice", "password": "wonderland" });
    let (_, answer) = post(&me, &demo, 0, "/api/login", credentials).await;
    assert_eq!(answer, json!({ "node": "a", "user": "alice" }));
    let kept = r#"{"node":"b","user":"alice","visits":1,"cart":{"tea":4},"new":false}"#;
    assert_eq!(session(&me, &demo, 1).await, kept);

    let (status, answer) = ask(me.post(demo.url(1, "/api/logout"))).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "node": "b", "user": null })));
    assert_eq!(session(&me, &demo, 0).await, empty);
}

#[tokio::test]
async fn a_user_sees_and_ends_sessions_of_their_own_only() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let (mine, phone, bobs) = (browser(), browser(), browser());
    let (status, refusal) = ask(mine.get(demo.url(0, "/api/sessions"))).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(refusal, json!({ "error": "not_signed_in", "message": "Sign in first." }));

    log_in(&phone, &demo, 0).await;
    log_in(&mine, &demo, 1).await;
    let credentials = json!({ "user": "bob", "password": "builder" });
    post(&bobs, &demo, 0, "/api/login", credentials).await;

    let list = sessions(&mine, &demo).await;
    assert_eq!(list.len(), 2, "{list:?}");
    assert_eq!((&list[0]["current"], &list[1]["current"]), (&json!(false), &json!(true)));
    assert_eq!((&list[0]["device"], &list[0]["address"]), (&json!("curl"), &json!("127.0.0.1")));
    for time in [&list[0]["created"], &list[0]["last_accessed"]] {
        assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    }

    let bobs_key = key(&sessions(&bobs, &demo).await[0]);
    for not_theirs in [bobs_key.as_str(), "s-AAAAAAAAAAAAAAAAAAAAAA", "x", "%00"] {
        let (status, answer) = end(&mine, &demo, not_theirs).await;
        assert_eq!((status, &answer["error"]), (StatusCode::NOT_FOUND, &json!("no_such_session")));
    }
    let (status, answer) = end(&mine, &demo, &key(&list[0])).await;
    assert_eq!((status, &answer["ended"]), (StatusCode::OK, &list[0]["key"]));
    assert!(session(&phone, &demo, 1).await.contains(r#""user":null"#), "ended on both nodes");
    assert!(session(&bobs, &demo, 1).await.contains(r#""user":"bob""#));

    let own = mine.delete(demo.url(0, &format!("/api/sessions/{}", key(&list[1]))));
    let cleared = own.send().await.unwrap();
    let cookie = cleared.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
    let (status, _) = end(&mine, &demo, &key(&list[1])).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

async fn sessions(client: &Client, demo: &Demo) -> Vec<Value> {
    let (status, answer) = ask(client.get(demo.url(0, "/api/sessions"))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["sessions"].as_array().unwrap().clone()
}

fn key(session: &Value) -> String {
    session["key"].as_str().unwrap().to_owned()
}

async fn end(client: &Client, demo: &Demo, key: &str) -> (StatusCode, Value) {
    ask(client.delete(demo.url(0, &format!("/api/sessions/{key}")))).await
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_look_the_same() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    let mut answers = Vec::new();
    for (user, password) in [("alice", "wrong"), ("mallory", "wonderland"), ("", "")] {
        let login = me.post(demo.url(0, "/api/login"));
        let response = login.json(&json!({ "user": user, "password": password })).send().await;
        let response = response.unwrap();
        let mut headers: HeaderMap = response.headers().clone();
        headers.remove("date");
        answers.push((response.status(), headers, response.text().await.unwrap()));
    }
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert!(answers[0].1.get(SET_COOKIE).is_none());
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_in_json() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    let json = "application/json";
    let long = format!(r#"{{"item":"{}","quantity":1}}"#, "x".repeat(41));
    let large = format!(r#"{{"item":"{}","quantity":1}}"#, "x".repeat(20_000));
    for (path, kind, body, status, error) in [
        ("/api/login", json, "{", 400, "malformed"),
        ("/api/login", json, r#"{"user":"alice"}"#, 422, "wrong_fields"),
        ("/api/login", "text/plain", r#"{"user":"a","password":"b"}"#, 415, "not_json"),
        ("/api/cart", json, &large, 413, "too_large"),
        ("/api/cart", json, &long, 422, "bad_item"),
        ("/api/cart", json, r#"{"item":" ","quantity":1}"#, 422, "bad_item"),
        ("/api/cart", json, r#"{"item":"tea","quantity":0}"#, 422, "bad_quantity"),
        ("/api/cart", json, r#"{"item":"tea","quantity":100}"#, 422, "bad_quantity"),
        ("/api/cart", json, r#"{"item":"tea","quantity":-1}"#, 422, "wrong_fields"),
        ("/api/cart", json, r#"{"item":"tea","quantity":1.5}"#, 422, "wrong_fields"),
        ("/api/nothing", json, "{}", 404, "not_found"),
        ("/api/session", json, "{}", 405, "method_not_allowed"),
    ] {
        let request = me.post(demo.url(0, path)).header(CONTENT_TYPE, kind).body(body.to_owned());
        let (answered, answer) = ask(request).await;
        let said = (answered.as_u16(), answer["error"].as_str().unwrap());
        assert_eq!(said, (status, error), "{path} {answer}");
        assert!(answer["message"].is_string());
    }
    let wrong = me.put(demo.url(0, "/api/cart")).send().await.unwrap();
    assert_eq!(wrong.headers()[ALLOW], "POST");
    assert!(session(&me, &demo, 0).await.contains(r#""new":true"#), "nothing was stored");
}

#[tokio::test]
async fn a_cart_has_room_for_so_much() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    let most = json!({ "item": "tea", "quantity": 99 });
    assert_eq!(post(&me, &demo, 0, "/api/cart", most).await.0, StatusCode::OK);
    let one_more = json!({ "item": "tea", "quantity": 1 });
    let (status, answer) = post(&me, &demo, 1, "/api/cart", one_more).await;
    assert_eq!((status.as_u16(), &answer["error"]), (422, &json!("cart_full")));
    assert!(session(&me, &demo, 0).await.contains(r#""cart":{"tea":99}"#));
}

#[tokio::test]
async fn another_sites_page_changes_nothing_here() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    let own = format!("http://127.0.0.1:{}", demo.ports[0]);
    for (headers, passes) in [
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "same-site"), ("origin", own.as_str())], false),
        (vec![("origin", "https://evil.example")], false),
        (vec![("origin", "null")], false),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("origin", own.as_str())], true),
        (vec![], true),
    ] {
        for (method, path) in [
            (Method::POST, "/api/visit"),
            (Method::POST, "/visit"),
            (Method::DELETE, "/api/sessions/x"),
        ] {
            let mut request = me.request(method, demo.url(0, path));
            for (name, value) in &headers {
                request = request.header(*name, *value);
            }
            let status = request.send().await.unwrap().status();
            assert_eq!(status != StatusCode::FORBIDDEN, passes, "{path} {headers:?}");
        }
    }
    let visits = session(&me, &demo, 0).await;
    assert!(visits.contains(r#""visits":6"#), "three times by either path: {visits}");
}

#[tokio::test]
async fn the_page_is_escaped_guarded_and_never_stored() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    let wicked = json!({ "item": "<script>alert(1)</script>", "quantity": 1 });
    assert_eq!(post(&me, &demo, 0, "/api/cart", wicked).await.0, StatusCode::OK);
    let page = me.get(demo.url(1, "/")).send().await.unwrap();
    let headers = page.headers().clone();
    let text = page.text().await.unwrap();
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !text.contains("<script>"));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(headers["referrer-policy"], "same-origin");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(!text.contains("style="), "no style but the file's");
}

#[tokio::test]
async fn the_page_works_without_scripts() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    let form = async |path: &str, fields: &[(&str, &str)]| {
        let response = me.post(demo.url(0, path)).form(fields).send().await.unwrap();
        (
            response.status().as_u16(),
            response.url().path().to_owned(),
            response.text().await.unwrap(),
        )
    };
    let (status, _, page) = form("/login", &[("user", "alice"), ("password", "no")]).await;
    assert_eq!(status, 401);
    assert!(page.contains("This name and this password do not belong together."));
    let (status, path, page) =
        form("/login", &[("user", "alice"), ("password", "wonderland")]).await;
    assert_eq!((status, path.as_str()), (200, "/"), "sent back to the page");
    assert!(page.contains("Welcome, alice."));
    let (_, _, page) = form("/visit", &[]).await;
    assert!(page.contains(r#"id="count">1<"#), "{page}");
    let (_, _, page) = form("/cart", &[("item", "tea"), ("quantity", "1")]).await;
    assert!(page.contains(r#"id="of-tea">1<"#), "{page}");
    let (status, _, page) = form("/cart", &[("item", "tea"), ("quantity", "99")]).await;
    assert_eq!(status, 422);
    assert!(page.contains("A cart holds at most 99 of one item."), "{page}");
    assert_eq!(form("/cart", &[("item", "tea")]).await.0, 422);

    let elsewhere = browser();
    log_in(&elsewhere, &demo, 1).await;
    let (_, _, page) = form("/sessions/end-others", &[]).await;
    assert!(page.contains("ended another session of yours"), "{page}");
    assert!(session(&elsewhere, &demo, 1).await.contains(r#""user":null"#));
    let (_, _, page) = form("/logout", &[]).await;
    assert!(page.contains("Nobody is signed in"));
    assert_eq!(form("/sessions/end", &[("key", "x")]).await.0, 401);
}
