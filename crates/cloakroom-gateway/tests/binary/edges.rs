//! What comes from outside and does not fit: another host, a token that was just replaced, names
//! that cannot be seen, paths that are none.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::header::{ACCEPT, COOKIE, HOST, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};
use serde_json::json;
use tempfile::tempdir;

use crate::support::{BOUND, Demo, ask, browser, log_in, post, session};

/// A client that keeps no cookies and follows no redirects.
fn program() -> Client {
    let builder = Client::builder().redirect(reqwest::redirect::Policy::none());
    builder.timeout(BOUND).build().expect("a client")
}

/// The cookie that a response sets, as a client sends it back.
fn cookie(response: &Response) -> String {
    let cookie = response.headers()[SET_COOKIE].to_str().expect("text");
    cookie.split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn a_logout_with_a_token_that_was_just_replaced_does_not_pass_for_one() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = program();
    let visited = me.post(demo.url(0, "/api/visit")).send().await.unwrap();
    let old = cookie(&visited);
    let login = me.post(demo.url(0, "/api/login")).header(COOKIE, &old);
    let login = login.json(&json!({ "user": "alice", "password": "wonderland" }));
    let new = cookie(&login.send().await.unwrap());
    assert_ne!(old, new);

    let (status, answer) = ask(me.post(demo.url(1, "/api/logout")).header(COOKIE, &old)).await;
    let said = (status, &answer["error"]);
    assert_eq!(said, (StatusCode::CONFLICT, &json!("session_settling")));
    let page = me.post(demo.url(1, "/logout")).header(COOKIE, &old).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::CONFLICT);
    assert_eq!(page.headers()["retry-after"], "1");
    assert!(page.headers().get(SET_COOKIE).is_none(), "the new cookie stays");
    assert!(page.text().await.unwrap().contains("try again"));

    let (_, answer) = ask(me.get(demo.url(0, "/api/session")).header(COOKIE, &new)).await;
    assert_eq!(answer["user"], "alice");
    let (status, _) = ask(me.post(demo.url(1, "/api/logout")).header(COOKIE, &new)).await;
    assert_eq!(status, StatusCode::OK);
    // Where there is no session, none is left to end: neither of this token nor without any.
    for request in [
        me.post(demo.url(0, "/api/logout")).header(COOKIE, &new),
        me.post(demo.url(0, "/api/logout")),
    ] {
        let (status, answer) = ask(request).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({ "node": "a", "user": null })));
    }
    let page = me.post(demo.url(0, "/logout")).send().await.unwrap();
    assert_eq!(
        (page.status(), &page.headers()["location"]),
        (StatusCode::SEE_OTHER, &"/".parse().unwrap())
    );
}

#[tokio::test]
async fn no_other_host_leads_here() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = program();
    let port = demo.ports[0];
    for path in ["/", "/api/session", "/assets/style.css", "/nothing"] {
        for host in
            [format!("evil.example:{port}"), "evil.example".to_owned(), "10.0.0.1".to_owned()]
        {
            let (status, answer) = ask(me.get(demo.url(0, path)).header(HOST, &host)).await;
            let said = (status, &answer["error"]);
            assert_eq!(said, (StatusCode::MISDIRECTED_REQUEST, &json!("wrong_host")), "{host}");
        }
    }
    // The page of a host that was made to lead here is of the same origin, for all a browser knows.
    let login = me.post(demo.url(0, "/login")).header(HOST, format!("evil.example:{port}"));
    let login = login.header("origin", format!("http://evil.example:{port}"));
    let login = login.header("sec-fetch-site", "same-origin");
    let answer = login.form(&[("user", "alice"), ("password", "wonderland")]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST);
    assert!(answer.headers().get(SET_COOKIE).is_none());
    for host in ["localhost", "LOCALHOST:9", "127.0.0.1", "[::1]:3001"] {
        let answer = me.get(demo.url(0, "/")).header(HOST, host).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{host}");
        let name = host.to_ascii_lowercase().replace(":9", "").replace(":3001", "");
        let other = format!("http://{name}:{}/", demo.ports[1]);
        assert!(answer.text().await.unwrap().contains(&other), "{host}");
    }
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", "400"),
        ("GET / HTTP/1.0\r\n", "400"),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n", "421"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{head}: {answer}");
        assert!(answer.contains("application/json"), "{head}: {answer}");
    }
}

#[tokio::test]
async fn what_cannot_be_seen_is_no_items_name_and_what_can_stands_apart() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    for name in ["\u{200b}", "tea\u{feff}", "\u{202e}gnp.live", "a\u{2066}b", "\u{7}"] {
        let wish = json!({ "item": name, "quantity": 1 });
        let (status, answer) = post(&me, &demo, 0, "/api/cart", wish).await;
        assert_eq!((status.as_u16(), &answer["error"]), (422, &json!("bad_item")), "{name:?}");
    }
    let (status, _) =
        post(&me, &demo, 0, "/api/cart", json!({ "item": "שוקו", "quantity": 2 })).await;
    assert_eq!(status, StatusCode::OK);
    let page = me.get(demo.url(1, "/")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains(r#"<span class="what"><bdi>שוקו</bdi></span>"#), "{page}");
    assert!(page.contains("added 2 × <bdi>שוקו</bdi>"), "{page}");
}

#[tokio::test]
async fn paths_that_are_none_are_answered_in_kind() {
    let dir = tempdir().unwrap();
    let demo = Demo::start(dir.path(), &[]);
    let me = browser();
    let delete = || me.delete(demo.url(0, "/api/sessions/%ff"));
    let (status, answer) = ask(delete()).await;
    assert_eq!((status.as_u16(), &answer["error"]), (401, &json!("not_signed_in")));
    log_in(&me, &demo, 0).await;
    let (status, answer) = ask(delete()).await;
    assert_eq!((status.as_u16(), &answer["error"]), (404, &json!("no_such_session")));

    let program = program();
    for path in ["/login", "/logout", "/cart", "/sessions/end"] {
        let looked = program.get(demo.url(0, path)).header(ACCEPT, "text/html,*/*;q=0.8");
        let looked = looked.send().await.unwrap();
        assert_eq!(looked.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!(looked.headers()["location"], "/");
        let (status, answer) = ask(program.get(demo.url(0, path))).await;
        assert_eq!((status.as_u16(), &answer["error"]), (405, &json!("method_not_allowed")));
    }
    let of_programs = program.get(demo.url(0, "/api/login")).header(ACCEPT, "text/html");
    assert_eq!(ask(of_programs).await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert!(session(&me, &demo, 1).await.contains(r#""user":"alice""#), "looking ended nothing");
}
