//! What can be tried at the login: to be led elsewhere, to sign somebody in unasked, to find out
//! who is there, to guess, to plant a session, to keep one.

use std::fs;

use cloakroom_testkit::servers::Redis;
use tempfile::TempDir;
use url::Url;

use super::support::{Gateway, whole};
use super::wire::{NAVIGATES, Reply, Witness, ask, get, sign_in, try_to_sign_in};
use crate::support::{command, free_port};

const RULES: [(&str, &str); 2] = [("/order/**", "login"), ("/**", "public")];
const ALICE: (&str, &str) = ("alice", "wonderland-7");

fn start(witness: &Witness, more: &str) -> Gateway {
    let gateway = Gateway::start(&format!("{more}{}", witness.config(&RULES)));
    gateway.add_user(ALICE.0, ALICE.1, &["buyer"]);
    gateway
}

/// Two gateways over one Redis and one database of users.
fn two(redis: &Redis, witness: &Witness, more: &str) -> [Gateway; 2] {
    let dir = TempDir::new().unwrap();
    let users = dir.path().join("users.db");
    let start = |dir: TempDir| {
        let config = format!(
            "[store]\nurl = \"{}\"\n[login]\nusers = \"sqlite://{}\"\n{more}{}",
            redis.url(),
            users.display(),
            witness.config(&RULES)
        );
        let port = free_port();
        fs::write(dir.path().join("cloakroom.toml"), whole(&config, port)).unwrap();
        Gateway::run(dir, port, &[])
    };
    let beside = TempDir::new().unwrap();
    let first = start(dir);
    first.add_user(ALICE.0, ALICE.1, &["buyer"]);
    [first, start(beside)]
}

fn cookie(pair: &str) -> String {
    format!("Cookie: {pair}\r\n")
}

/// Who the gateway says is signed in.
fn user(port: u16, pair: &str) -> u16 {
    get(port, "/.cloakroom/api/me", &cookie(pair)).status
}

/// What a page of the gateway sends with its own form.
const OWN_FORM: &str = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\n\
    Content-Type: application/x-www-form-urlencoded\r\nAccept: text/html\r\n";

/// Texts that lead elsewhere, if anybody takes them for an address to go to.
const ELSEWHERE: &[&str] = &[
    "https://evil.example",
    "http://evil.example/",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "\\/evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "/\n/evil.example",
    " //evil.example",
    "/ /evil.example",
    "/%09/evil.example",
    "/%5cevil.example",
    "/%2fevil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/./\\evil.example",
    "/a/..//evil.example",
    "/a/%2e%2e//evil.example",
    "/;//evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https:\\\\evil.example",
    "HtTpS://evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://evil.example/x",
    "evil.example",
    ".evil.example",
    "@evil.example",
    ":80@evil.example",
    "?@evil.example",
    "#@evil.example",
    "https://app.example@evil.example/",
    "https://app.example:x@evil.example/",
    "https://app.example.evil.example/",
    "https://evil.example/app.example",
    "https://evil.example#app.example",
    "https://evil.example?app.example",
    "https://evil.example\\@app.example/",
    "https://app.example\\.evil.example/",
    "https://app.example%2eevil.example/",
    "https://app.example%00.evil.example/",
    "https://app.example:443.evil.example/",
    "https://evilapp.example/",
    "https://app.example:8443/",
    "http://app.example/",
    "ftp://app.example/",
    "https://[::1]/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://app\u{3002}example/",
    "https://\u{ff41}pp.example/",
    "https://app.example\u{2044}@evil.example",
    "https://evil\u{3002}example/",
    "//evil%E3%80%82example",
    "/\u{ff0f}evil.example",
    "\u{feff}//evil.example",
    "/%0d%0aLocation:%20https://evil.example",
    "/\r\nLocation: https://evil.example",
    "/a\r\n\r\n<script>",
    "/.cloakroom/login?return_to=//evil.example",
    "/.cloakroom/login",
    "https://app.example//evil.example",
    "https://app.example/..//evil.example",
];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Panics where a browser would end elsewhere than here or with the host that is listed.
fn stays_here(port: u16, location: &str, asked: &str) {
    let here = Url::parse(&format!("http://127.0.0.1:{port}/.cloakroom/login?x=y")).unwrap();
    let led = here.join(location).unwrap();
    let listed = led.scheme() == "https" && led.host_str() == Some("app.example");
    let listed = listed && led.port().is_none() && led.username().is_empty();
    assert!(led.origin() == here.origin() || listed, "{asked:?} leads to {location:?}: {led}");
    assert!(!led.path().starts_with("//"), "{asked:?} leads to {location:?}");
    assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{asked:?}: {location:?}");
}

#[test]
fn no_address_leads_elsewhere_after_a_login_or_a_logout() {
    let witness = Witness::start();
    let gateway = start(&witness, "[login]\nreturn_hosts = [\"app.example\"]\n");
    let port = gateway.port;
    let alice = sign_in(port, ALICE.0, ALICE.1);
    let signed_in = format!("{NAVIGATES}{}", cookie(&alice));
    let mut led = 0;
    for asked in ELSEWHERE {
        let query = format!("return_to={}", encoded(asked));
        let login = format!("/.cloakroom/login?{query}");
        // Signed in already; signed out; and out of a login that this address has begun.
        let back = get(port, &login, &signed_in);
        assert_eq!(back.status, 303, "{asked:?}: {back:?}");
        stays_here(port, back.location(), asked);
        let out = get(port, &format!("/.cloakroom/logout?{query}"), NAVIGATES);
        assert_eq!(out.status, 303, "{asked:?}: {out:?}");
        stays_here(port, out.location(), asked);
        let out = ask(port, "POST", "/.cloakroom/logout", OWN_FORM, &query);
        assert_eq!(out.status, 303, "{asked:?}: {out:?}");
        stays_here(port, out.location(), asked);
        let begun = get(port, &login, NAVIGATES);
        if begun.status == 302 {
            led += 1;
            assert!(
                begun.location().starts_with("/.cloakroom/login?flow="),
                "{asked:?}: {begun:?}"
            );
        }
        // As a form's field, and as the id of a login, it leads to the start.
        for query in [format!("flow={}", encoded(asked)), format!("flow=x&{query}")] {
            let back = get(port, &format!("/.cloakroom/login?{query}"), &signed_in);
            stays_here(port, back.location(), asked);
        }
    }
    assert!(led < 10, "hostile addresses begin logins: {led}");
    let fine = get(port, "/.cloakroom/login?return_to=https://app.example/x", &signed_in);
    assert_eq!(fine.location(), "https://app.example/x", "the listed host is led to");
}

#[test]
fn nor_does_a_path_that_was_asked_for_itself() {
    let witness = Witness::start();
    let everything = witness.config(&[("/**", "login")]);
    let gateway = Gateway::start(&everything);
    gateway.add_user(ALICE.0, ALICE.1, &[]);
    let port = gateway.port;
    let alice = sign_in(port, ALICE.0, ALICE.1);
    let mut came_back = 0;
    for asked in ELSEWHERE.iter().chain(&["/order/7?a=b", "/order?//evil.example"]) {
        let target = match asked.bytes().all(|byte| byte.is_ascii_graphic()) {
            true if asked.starts_with('/') => (*asked).to_owned(),
            _ => format!("/{}", encoded(asked)),
        };
        let sent = get(port, &target, NAVIGATES);
        // A page of the gateway's own is shown.
        let flow = sent.cookie("cloakroom-flow").filter(|_| sent.status != 200);
        let Some(flow) = flow else {
            assert!(matches!(sent.status, 200 | 400 | 404), "{target}: {sent:?}");
            continue;
        };
        assert_eq!(sent.status, 302, "{target}: {sent:?}");
        stays_here(port, sent.location(), &target);
        let both = cookie(&format!("{alice}; cloakroom-flow={flow}"));
        let back = get(port, sent.location(), &format!("{NAVIGATES}{both}"));
        assert_eq!(back.status, 303, "{target}: {back:?}");
        stays_here(port, back.location(), &target);
        came_back += usize::from(back.location() == target);
    }
    assert!(came_back >= 2, "who wants somewhere safe comes there: {came_back}");
}

#[test]
fn no_other_site_signs_anybody_in_or_out() {
    let witness = Witness::start();
    let gateway = start(&witness, "");
    let port = gateway.port;
    let alice = sign_in(port, ALICE.0, ALICE.1);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let json = "Content-Type: application/json\r\n";
    let text = "Content-Type: text/plain\r\n";
    let fields = "username=alice&password=wonderland-7";
    let object = "{\"username\":\"alice\",\"password\":\"wonderland-7\"}";
    let own = format!("Origin: http://127.0.0.1:{port}\r\n");
    for from in [
        "Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.example\r\n".to_owned(),
        "Sec-Fetch-Site: same-site\r\nOrigin: https://sub.shop.example\r\n".to_owned(),
        "Sec-Fetch-Site: cross-site\r\n".to_owned(),
        // What a browser says of the site counts more than an origin that may be forged.
        format!("Sec-Fetch-Site: cross-site\r\n{own}"),
        "Sec-Fetch-Site: whatever\r\n".to_owned(),
        "Origin: https://evil.example\r\n".to_owned(),
        "Origin: null\r\n".to_owned(),
        format!("Origin: http://127.0.0.1:{port}.evil.example\r\n"),
        "Origin: http://127.0.0.1:1\r\n".to_owned(),
        "Origin: https://evil.example\r\nX-Forwarded-Host: evil.example\r\n".to_owned(),
    ] {
        let held = cookie(&alice);
        for (path, kind, body) in [
            ("/.cloakroom/login", form, fields),
            ("/.cloakroom/logout", form, "x=y"),
            ("/.cloakroom/api/login", json, object),
            ("/.cloakroom/api/login", text, object),
            ("/.cloakroom/api/logout", json, "{}"),
            ("/.cloakroom/me/end-others", form, "x=y"),
        ] {
            let reply = ask(port, "POST", path, &format!("{from}{kind}{held}"), body);
            assert_eq!(reply.status, 403, "{path} {from}: {reply:?}");
            assert!(reply.all("set-cookie").is_empty(), "{path} {from}: {reply:?}");
        }
        let reply = ask(port, "DELETE", "/.cloakroom/api/sessions", &format!("{from}{held}"), "");
        assert_eq!(reply.status, 403, "{from}: {reply:?}");
    }
    // Without a word of where it comes from, a form has to know what only our page tells.
    for (path, body) in [("/.cloakroom/login", fields), ("/.cloakroom/logout", "x=y")] {
        for silent in ["", "Origin:\r\n", "Sec-Fetch-Site:\r\n", "Sec-Fetch-Site: \r\nOrigin: \r\n"]
        {
            let headers = format!("{silent}{form}{}", cookie(&alice));
            let reply = ask(port, "POST", path, &headers, body);
            assert_eq!(reply.status, 403, "{path} {silent}: {reply:?}");
        }
    }
    // What a form can send without asking first is no JSON.
    let reply = ask(port, "POST", "/.cloakroom/api/login", text, object);
    assert_eq!(reply.status, 400, "{reply:?}");
    for path in ["/.cloakroom/login", "/.cloakroom/logout", "/.cloakroom/me/end-others"] {
        let reply =
            get(port, &format!("{path}?username=alice&password=wonderland-7"), &cookie(&alice));
        assert!(reply.cookie("id").is_none_or(str::is_empty), "{path}: {reply:?}");
    }
    assert_eq!(user(port, &alice), 200, "nothing of it ended the session");
}

#[test]
fn a_browser_has_so_many_logins_under_way_and_each_tab_its_own() {
    let witness = Witness::start();
    let gateway = start(&witness, "");
    let port = gateway.port;
    let first = get(port, "/order/0", NAVIGATES);
    let mut browser = format!("cloakroom-flow={}", first.cookie("cloakroom-flow").unwrap());
    let mut logins = vec![first.location().to_owned()];
    for n in 1..12 {
        let sent = get(port, &format!("/order/{n}"), &format!("{NAVIGATES}{}", cookie(&browser)));
        if let Some(other) = sent.cookie("cloakroom-flow") {
            browser = format!("cloakroom-flow={other}");
        }
        let added = sent.all("set-cookie").len() - sent.cookie("cloakroom-flow").iter().count();
        assert_eq!(added, 0, "one cookie, whatever is under way: {sent:?}");
        logins.push(sent.location().to_owned());
    }
    let again = get(port, "/order/11", &format!("{NAVIGATES}{}", cookie(&browser)));
    assert_eq!(again.location(), logins[11], "the same way is the same login");
    let alice = sign_in(port, ALICE.0, ALICE.1);
    let signed_in = format!("{NAVIGATES}{}", cookie(&format!("{alice}; {browser}")));
    for (n, leads_to) in [(0, "/"), (3, "/"), (4, "/order/4"), (11, "/order/11")] {
        assert_eq!(get(port, &logins[n], &signed_in).location(), leads_to, "{n}");
    }
    // Four times was enough: the fifth in such a short time is a loop.
    let looping = get(port, &logins[11], &signed_in);
    assert_eq!(looping.status, 508, "{looping:?}");
    assert!(looping.location().is_empty());
    // A login of one browser leads another nowhere.
    let other = format!("{NAVIGATES}{}", cookie(&alice));
    assert_eq!(get(port, &logins[10], &other).location(), "/");
}

#[test]
fn what_does_not_navigate_is_told_401_and_begins_nothing() {
    let witness = Witness::start();
    let gateway = start(&witness, "");
    for headers in [
        "",
        "Accept: */*\r\n",
        "Accept: application/json\r\n",
        "Accept: application/json, text/html;q=0.1\r\nSec-Fetch-Mode: cors\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: cors\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: websocket\r\n",
        "Accept: text/html\r\nSec-Fetch-Mode: same-origin\r\n",
        "Accept: text/event-stream\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\n",
        "X-Requested-With: XMLHttpRequest\r\nAccept: application/json\r\n",
        "Purpose: prefetch\r\n",
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
            let reply = ask(gateway.port, method, "/order/1", headers, "");
            assert_eq!(reply.status, 401, "{method} {headers}: {reply:?}");
            assert!(reply.all("set-cookie").is_empty(), "{method} {headers}: {reply:?}");
            assert!(reply.location().is_empty(), "{method} {headers}: {reply:?}");
            let kind = reply.all("content-type").join("");
            assert!(kind.starts_with("application/json"), "{method} {headers}: {reply:?}");
            assert!(reply.all("cache-control").join("").contains("no-store"), "{reply:?}");
        }
    }
    let posted = ask(gateway.port, "POST", "/order/1", NAVIGATES, "a=b");
    assert!(posted.status == 401 && posted.all("set-cookie").is_empty(), "{posted:?}");
    assert!(witness.take().is_empty());
}

#[test]
fn nobody_learns_who_is_there() {
    let witness = Witness::start();
    let gateway = start(&witness, "");
    gateway.add_user("bob", "looking-glass-8", &[]);
    let disabled = command(gateway.dir.path()).args(["users", "disable", "bob"]).output().unwrap();
    assert!(disabled.status.success(), "{disabled:?}");
    let tell = |reply: &Reply| {
        let head: Vec<_> = reply.head.lines().filter(|line| !line.starts_with("date:")).collect();
        (reply.status, head.join("\n"), reply.body.clone())
    };
    let tries = [
        (ALICE.0, "wrong-password"),
        ("nobody", "wrong-password"),
        ("bob", "looking-glass-8"),
        ("alice'--", "wrong-password"),
    ];
    let answers = tries.map(|(name, word)| tell(&try_to_sign_in(gateway.port, name, word, "")));
    assert_eq!(answers[0].0, 401);
    for other in &answers[1..] {
        assert_eq!(other, &answers[0]);
    }
    // By the form, where the name that was typed is shown again.
    let page = get(gateway.port, "/.cloakroom/login", NAVIGATES);
    let browser = cookie(&format!("cloakroom-flow={}", page.cookie("cloakroom-flow").unwrap()));
    let answers = ["alice", "nobod", "bobby"].map(|name| {
        let fields = format!("username={name}&password=wrong-password");
        let headers = format!("{OWN_FORM}{browser}");
        let reply = ask(gateway.port, "POST", "/.cloakroom/login", &headers, &fields);
        let (status, head, body) = tell(&reply);
        assert_eq!(body.matches(&format!("value=\"{name}\"")).count(), 1, "{body}");
        (status, head, body.replace(&format!("value=\"{name}\""), ""))
    });
    assert!(answers[0].0 == 401 && answers[0] == answers[1] && answers[0] == answers[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_counted_over_two_gateways() {
    let redis = Redis::start().await;
    let witness = Witness::start();
    let gateways = two(&redis, &witness, "[login.throttle]\naccount = 4\naddress = 9\n");
    let mut statuses = Vec::new();
    for n in 0..6 {
        statuses.push(try_to_sign_in(gateways[n % 2].port, ALICE.0, "wrong-password", "").status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 429, 429]);
    for gateway in &gateways {
        // A header of the guesser's own makes nobody else of them, nor does the right password.
        for lie in ["", "X-Forwarded-For: 192.0.2.9\r\n", "Forwarded: for=192.0.2.9\r\n"] {
            let held = try_to_sign_in(gateway.port, ALICE.0, ALICE.1, lie);
            assert!(held.status == 429 && held.cookie("id").is_none(), "{held:?}");
            assert!(held.all("retry-after")[0].parse::<u64>().unwrap() > 0, "{held:?}");
        }
    }
    // And the address through a list of accounts: four tries have counted for it, and none that was
    // held.
    let mut statuses = Vec::new();
    for n in 0..12 {
        let name = format!("user{n}");
        statuses.push(try_to_sign_in(gateways[n % 2].port, &name, "wrong-password", "").status);
    }
    let made = statuses.iter().filter(|status| **status == 401).count();
    assert!(made == 5 && statuses.ends_with(&[429, 429]), "{statuses:?}");
}

#[test]
fn a_planted_session_is_not_the_one_after_the_login() {
    let witness = Witness::start();
    let gateway = start(&witness, "");
    let port = gateway.port;
    gateway.add_user("mallory", "mushroom-99", &[]);
    let mallory = sign_in(port, "mallory", "mushroom-99");
    let made_up = format!("id={}", "A".repeat(mallory.len() - "id=".len()));
    for planted in [&mallory, &made_up, "id=x", &format!("{mallory}; {made_up}")] {
        let reply = try_to_sign_in(port, ALICE.0, ALICE.1, &cookie(planted));
        assert_eq!(reply.status, 200, "{reply:?}");
        let alice = format!("id={}", reply.cookie("id").expect("a new token"));
        assert!(!planted.contains(&*alice), "the token is new");
        for planted in planted.split("; ") {
            let seen = get(port, "/x", &cookie(planted));
            assert_eq!(seen.status, 200);
            let seen = witness.take();
            assert_ne!(seen[0].all("x-user-id"), ["alice"], "{planted}: {seen:?}");
        }
        // Another login gives another token, and ends the one before.
        let again = try_to_sign_in(port, ALICE.0, ALICE.1, &cookie(&alice));
        let second = format!("id={}", again.cookie("id").expect("a new token"));
        assert_ne!(second, alice);
        assert_eq!((user(port, &alice), user(port, &second)), (401, 200));
        // And one that was ended is not brought back by being shown again.
        let out = ask(
            port,
            "POST",
            "/.cloakroom/logout",
            &format!("{OWN_FORM}{}", cookie(&second)),
            "x=y",
        );
        assert_eq!(out.status, 303, "{out:?}");
        assert_eq!(user(port, &second), 401);
        get(port, "/order", &cookie(&second));
        assert!(witness.take().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_is_out_on_both_gateways_at_once() {
    let redis = Redis::start().await;
    let witness = Witness::start();
    let gateways = two(&redis, &witness, "");
    let alice = [0, 1].map(|n: usize| sign_in(gateways[n].port, ALICE.0, ALICE.1));
    for gateway in &gateways {
        for session in &alice {
            assert_eq!(get(gateway.port, "/order", &cookie(session)).status, 200);
        }
    }
    witness.take();
    let told =
        command(gateways[0].dir.path()).args(["users", "disable", "alice"]).output().unwrap();
    assert!(told.status.success(), "{told:?}");
    // The command is over: what its users have of a cache is over as soon as the news is there.
    for gateway in &gateways {
        for session in &alice {
            let out = crate::support::becomes(
                "the session is over",
                async || get(gateway.port, "/order", &cookie(session)).status,
                |status| *status == 401,
            );
            out.await;
            // Never back again, and what writes was refused from the beginning.
            assert_eq!(user(gateway.port, session), 401);
        }
        assert_eq!(try_to_sign_in(gateway.port, ALICE.0, ALICE.1, "").status, 401);
    }
}
