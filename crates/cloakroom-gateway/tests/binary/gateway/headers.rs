//! Headers and cookies that only the gateway may say, and those that it keeps to itself.

use std::io::{BufReader, Write};

use super::support::Gateway;
use super::wire::{NAVIGATES, Seen, Witness, answer, connect, exchange, get, reply, sign_in};

const RULES: [(&str, &str); 2] = [("/order/**", "login"), ("/**", "public")];
/// The names of all headers that tell services who asks.
const TELLING: [&str; 5] =
    ["X-User-Id", "X-Anonymous-Id", "X-Session-Key", "X-User-Roles", "X-Identity"];

fn start(witness: &Witness) -> Gateway {
    let gateway = Gateway::start(&witness.config(&RULES));
    gateway.add_user("alice", "wonderland-7", &["buyer"]);
    gateway
}

/// A name as upstreams read it that take `_` and `.` for `-`.
fn folded(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

/// The values of all headers of a request that some service takes for `name`.
fn taken_for<'s>(seen: &'s Seen, name: &str) -> Vec<&'s str> {
    let lines = seen.head.lines().skip(1).chain(seen.trailers.lines());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let ours = headers.filter(|(header, _)| folded(header) == folded(name));
    ours.map(|(_, value)| value.trim()).collect()
}

fn spellings(name: &str) -> Vec<String> {
    let mixed = name.replacen('-', "_", 1).replace('-', ".");
    let spelled = [name.to_owned(), name.to_lowercase(), name.to_uppercase(), mixed];
    spelled.into_iter().chain([name.replace('-', "_"), name.replace('-', ".")]).collect()
}

#[test]
fn nobody_says_themselves_who_they_are() {
    let witness = Witness::start();
    let gateway = start(&witness);
    let alice = sign_in(gateway.port, "alice", "wonderland-7");
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    let forged: Vec<_> = TELLING.iter().flat_map(|name| spellings(name)).collect();
    let cookie = format!("Cookie: {alice}\r\n");
    let mut bytes = String::new();
    let headers: String = forged.iter().map(|name| format!("{name}: root\r\n")).collect();
    let nominated: String = forged.iter().map(|name| format!("Connection: {name}\r\n")).collect();
    for who in ["", &cookie] {
        for more in [&headers, &nominated, &format!("{headers}{nominated}")] {
            for way in ["", upgrade] {
                bytes += &format!("GET /x HTTP/1.1\r\nHost: a\r\n{way}{who}{more}\r\n");
            }
        }
    }
    let replies = exchange(
        gateway.port,
        format!("{bytes}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    );
    assert_eq!(replies.len(), 13, "{replies:?}");
    let seen = witness.take();
    assert_eq!(seen.len(), 13);
    for (n, seen) in seen.iter().enumerate().take(12) {
        let signed_in = n >= 6;
        assert!(!seen.head.contains("root"), "{seen:?}");
        let user: &[&str] = if signed_in { &["alice"] } else { &[] };
        let roles: &[&str] = if signed_in { &["buyer"] } else { &[] };
        assert_eq!(taken_for(seen, "x-user-id"), user, "{n}: {seen:?}");
        assert_eq!(taken_for(seen, "x-user-roles"), roles, "{n}: {seen:?}");
        assert_eq!(taken_for(seen, "x-session-key").len(), usize::from(signed_in), "{seen:?}");
        assert_eq!(seen.all("upgrade").len(), n % 2, "{seen:?}");
    }
}

#[test]
fn nor_behind_their_body() {
    let witness = Witness::start();
    let gateway = start(&witness);
    for name in TELLING
        .iter()
        .flat_map(|name| spellings(name))
        .chain(["X-Forwarded-For", "x_real_ip", "Cookie", "Host", "Connection"].map(str::to_owned))
    {
        let request = format!(
            "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTE: trailers\r\n\
             Trailer: {name}, X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
             4\r\nabcd\r\n0\r\n{name}: root\r\nX-Sum: 7\r\n\r\n"
        );
        let replies = exchange(gateway.port, request);
        assert_eq!(replies.len(), 1, "{replies:?}");
        let seen = witness.take();
        assert_eq!(seen.len(), 1, "{name}: {replies:?}");
        assert!(!seen[0].trailers.contains("root"), "{name}: {seen:?}");
        assert_eq!(seen[0].body, "abcd");
        assert!(seen[0].trailers.to_lowercase().contains("x-sum: 7"), "others pass: {seen:?}");
    }
}

#[test]
fn no_service_sees_what_opens_a_session() {
    let witness = Witness::start();
    let config = witness.config(&RULES);
    let gateway = Gateway::start(&format!("{config}anonymous_id = true\n"));
    gateway.add_user("alice", "wonderland-7", &[]);
    let alice = sign_in(gateway.port, "alice", "wonderland-7");
    let token = alice.strip_prefix("id=").unwrap();
    let sent = get(gateway.port, "/order/1", NAVIGATES);
    let flow = sent.cookie("cloakroom-flow").expect("a flow").to_owned();
    let visitor = get(gateway.port, "/x", "");
    let name = visitor.all("set-cookie")[0].split('=').next().unwrap().to_owned();
    let anonymous = visitor.cookie(&name).expect("an id").to_owned();
    witness.take();
    for headers in [
        format!(
            "Cookie: a=1; id={token}; cloakroom-flow={flow}; {name}={anonymous}; id-v=7; b=2\r\n"
        ),
        format!(
            "Cookie: a=1\r\nCookie: id={token}\r\nCookie: cloakroom-flow={flow};{name}={anonymous}\r\nCookie: b=2\r\n"
        ),
        format!("Cookie: a=1;id={token};  id = {token} ; id={token}; b=2\r\n"),
        format!("Authorization: Bearer {token}\r\n"),
        format!("authorization: bEARER   {token} \r\n"),
        format!("Authorization: Basic abc\r\nAuthorization: Bearer {token}\r\n"),
        format!("Authorization: Bearer\t{token}\r\n"),
        format!("Authorization: Bearer{token}\r\n"),
        format!("Authorization: Basic abc, Bearer {token}\r\n"),
        format!("X-Session-Token: {token}\r\nCookie: id={token}\r\n"),
        format!("X_Session.Token: {token}\r\nX_Session_Token: {token}\r\n"),
        format!("Cloakroom-Version: {token}\r\nCloakroom_Version: {token}\r\n"),
    ] {
        assert_eq!(get(gateway.port, "/x", &headers).status, 200, "{headers}");
        let seen = witness.take();
        let head = &seen[0].head;
        for secret in [token, &flow, &anonymous] {
            assert!(!head.contains(secret), "{headers}: {head}");
        }
        if headers.contains("b=2") {
            assert_eq!(seen[0].all("cookie").join("; "), "a=1; b=2", "{head}");
        }
    }
    let other = "Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln\r\n";
    get(gateway.port, "/x", other);
    assert_eq!(witness.take()[0].all("authorization").len(), 1, "a token for the service passes");
}

#[test]
fn nor_in_a_header_of_its_own_name() {
    let witness = Witness::start();
    let session = "[session]\ntoken_header = \"X-Shop-Session\"\n\
        [session.cookie]\ninsecure_plain_http = true\n";
    let gateway = Gateway::start(&format!("{session}{}", witness.config(&RULES)));
    gateway.add_user("alice", "wonderland-7", &[]);
    let alice = sign_in(gateway.port, "alice", "wonderland-7");
    let token = alice.strip_prefix("id=").unwrap();
    assert_eq!(get(gateway.port, "/order", &format!("X-Shop-Session: {token}\r\n")).status, 200);
    let seen = witness.take();
    assert_eq!(seen[0].all("x-user-id"), ["alice"]);
    assert!(!seen[0].head.contains(token), "{seen:?}");
}

#[test]
fn a_service_sets_no_cookie_and_no_token_of_the_gateway() {
    let planted = "Set-Cookie: id=planted\r\nset-cookie: id = planted; Path=/\r\n\
        Set-Cookie: \tid=planted\r\nSet-Cookie: =id=planted\r\nSet-Cookie: cloakroom-flow=planted\r\n\
        Set-Cookie: id-v=9planted\r\nX-Session-Token: planted\r\nCloakroom-Version: 9planted\r\n\
        Set-Cookie: theme=dark\r\n";
    let witness = Witness::answering(move |seen| answer(planted, seen.target()));
    let gateway = start(&witness);
    let alice = sign_in(gateway.port, "alice", "wonderland-7");
    for who in ["", &format!("Cookie: {alice}\r\n"), "Authorization: Bearer\r\n"] {
        let reply = get(gateway.port, "/x", who);
        assert!(!reply.head.contains("planted"), "{reply:?}");
        assert!(reply.all("set-cookie").contains(&"theme=dark"), "{reply:?}");
    }
}

#[test]
fn a_socket_is_somebody_s_and_its_bytes_are_no_requests() {
    let witness = Witness::answering(|seen| match seen.all("upgrade").is_empty() {
        true => answer("", seen.target()),
        false => "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
            Upgrade: websocket\r\nSet-Cookie: id=planted\r\n\r\n"
            .to_owned(),
    });
    let gateway = start(&witness);
    let alice = sign_in(gateway.port, "alice", "wonderland-7");
    let ask = |headers: &str| {
        let mut stream = connect(gateway.port);
        let request = format!(
            "GET /order/live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X-User-Id\r\n\
             Upgrade: websocket\r\nX_User.Id: root\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        reply(&mut BufReader::new(&stream)).unwrap()
    };
    assert_eq!(ask("").status, 401, "rules hold for sockets");
    let switched = ask(&format!("Cookie: {alice}\r\n"));
    assert!(switched.status == 101 && !switched.head.contains("planted"), "{switched:?}");
    let seen = witness.take();
    assert_eq!(taken_for(&seen[0], "x-user-id"), ["alice"]);
    assert!(seen[0].all("cookie").is_empty(), "{seen:?}");
}

#[test]
fn a_stranger_s_word_on_where_they_come_from_is_not_passed_on() {
    let witness = Witness::start();
    let gateway = start(&witness);
    let lies: String = [
        "X-Forwarded-For: 6.6.6.6",
        "X_Forwarded_For: 6.6.6.6",
        "X.Forwarded.For: 6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "X-Forwarded-Proto: 6.6.6.6",
        "X-Forwarded-Host: 6.6.6.6",
        "X-Forwarded-Port: 6.6.6.6",
        "X-Forwarded-Prefix: /6.6.6.6",
        "X-Forwarded-Server: 6.6.6.6",
        "X-Original-URL: /6.6.6.6",
        "X-Rewrite-URL: /6.6.6.6",
        "X-Forwarded-Scheme: 6.6.6.6",
        "X-Forwarded-Ssl: 6.6.6.6",
        "X-Forwarded-Uri: /6.6.6.6",
        "X-Forwarded-Method: 6.6.6.6",
        "X-Forwarded-User: 6.6.6.6",
        "X_Forwarded.Anything: 6.6.6.6",
        "Proxy: http://6.6.6.6",
    ]
    .iter()
    .map(|line| format!("{line}\r\n"))
    .collect();
    assert_eq!(get(gateway.port, "/x", &lies).status, 200);
    let seen = witness.take();
    assert!(!seen[0].head.contains("6.6.6.6"), "{}", seen[0].head);
    assert_eq!(seen[0].all("x-forwarded-for"), ["127.0.0.1"]);
}
