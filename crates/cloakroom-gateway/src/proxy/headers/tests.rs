//! What becomes of headers.

use http::Version;
use http::header::FORWARDED;

use super::*;

fn borders(trusted: &[&str]) -> Borders {
    let identity = ["x-user-id", "x-identity"].map(HeaderName::from_static);
    let cookies = ["__Host-session", "login-7"].map(str::to_owned);
    let cookies = OwnCookies::new(cookies.to_vec());
    let proxies = trusted.iter().map(|network| network.parse().unwrap());
    Borders::new(&identity, cookies, TokenHeaders::default(), TrustedProxies::new(proxies))
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    headers
}

fn inbound(borders: &Borders, lines: &[(&str, &str)], https: bool) -> HeaderMap {
    let (mut headers, host) = (headers(lines), HeaderValue::from_static("shop.example:8443"));
    let peer = Some([192, 0, 2, 7].into());
    let client = Client { peer, https, host: Some(&host), version: Version::HTTP_11 };
    borders.inbound(&mut headers, &client, Some("node"));
    headers
}

fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

#[test]
fn nobody_else_says_who_asks_however_it_is_written() {
    for name in ["x-user-id", "X_User_Id", "x.user.id", "x-user_id", "X-IDENTITY", "x_identity"] {
        let headers = inbound(&borders(&[]), &[(name, "admin"), ("x-user-idea", "kept")], false);
        let left = headers.iter().filter(|(_, value)| *value == "admin");
        assert_eq!(left.count(), 0, "{name}");
        assert_eq!(all(&headers, "x-user-idea"), ["kept"]);
    }
}

#[test]
fn what_upstreams_believe_of_the_way_is_the_gateways_to_say() {
    for name in WAY.iter().map(|name| name.replace('-', "_")).chain(WAY.map(str::to_owned)) {
        let headers = inbound(&borders(&[]), &[(&name, "6.6.6.6")], false);
        assert!(!headers.values().any(|value| value == "6.6.6.6"), "{name}");
    }
}

#[test]
fn no_service_gets_what_carries_a_token_however_its_name_is_written() {
    for name in ["x-session-token", "X_Session_Token", "cloakroom-version", "Cloakroom.Version"] {
        let headers = inbound(&borders(&[]), &[(name, "secret"), ("x-session", "kept")], false);
        assert!(!headers.values().any(|value| value == "secret"), "{name}");
        assert_eq!(all(&headers, "x-session"), ["kept"]);
    }
}

#[test]
fn what_is_for_one_connection_goes_no_further() {
    let lines = [
        ("connection", "keep-alive, X-Secret"),
        ("connection", "x-other,x-user-id, host"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
        ("transfer-encoding", "chunked"),
        ("proxy-authorization", "a"),
        ("proxy", "http://evil"),
        ("x-secret", "a"),
        ("x-other", "b"),
        ("x-stays", "c"),
        ("trailer", "x-sum"),
    ];
    let headers = inbound(&borders(&[]), &lines, false);
    let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    left.retain(|name| !name.contains("forwarded") && *name != "via");
    left.sort_unstable();
    assert_eq!(left, ["trailer", "x-stays"]);
}

#[test]
fn a_stranger_is_not_believed_where_they_come_from() {
    let lies = [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("forwarded", "for=6.6.6.6"),
        ("via", "1.1 elsewhere"),
    ];
    let headers = inbound(&borders(&["10.0.0.0/8"]), &lies, false);
    assert_eq!(all(&headers, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["http"]);
    assert_eq!(all(&headers, "x-forwarded-host"), ["shop.example:8443"]);
    assert_eq!(all(&headers, "x-forwarded-port"), ["8443"]);
    let said = "for=192.0.2.7;host=\"shop.example:8443\";proto=http";
    assert_eq!(all(&headers, "forwarded"), [said]);
    assert_eq!(all(&headers, "via"), ["1.1 elsewhere", "1.1 cloakroom"]);
}

#[test]
fn a_trusted_proxys_word_is_kept_and_added_to() {
    let trusted = borders(&["192.0.2.0/24"]);
    let lines = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", "2001:db8::1"),
        ("x-forwarded-host", "outside.example"),
        ("x-forwarded-port", "443"),
    ];
    let headers = inbound(&trusted, &lines, true);
    assert_eq!(all(&headers, "x-forwarded-for"), ["203.0.113.9, 2001:db8::1, 192.0.2.7"]);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["https"]);
    assert_eq!(all(&headers, "x-forwarded-host"), ["outside.example"]);
    assert_eq!(all(&headers, "x-forwarded-port"), ["443"]);
    let said = "for=203.0.113.9, for=\"[2001:db8::1]\", \
        for=192.0.2.7;host=\"outside.example\";proto=https";
    assert_eq!(all(&headers, "forwarded"), [said]);
    let headers = inbound(&trusted, &[("forwarded", "for=203.0.113.9;proto=https")], true);
    let said = headers[FORWARDED].to_str().unwrap();
    assert!(said.starts_with("for=203.0.113.9;proto=https, for=192.0.2.7;"), "{said}");
}

#[test]
fn only_the_gateways_own_cookies_are_taken_out() {
    for (lines, left) in [
        (&["a=1; b=2"][..], &["a=1; b=2"][..]),
        (&["__Host-session=secret"], &[]),
        (&["a=1; __Host-session=secret; b=\"x y\" ;c"], &["a=1; b=\"x y\" ; c"]),
        (&[" __Host-session = secret;login-7=x;node=1; z"], &["z"]),
        (&["a=1", "__Host-session=secret", "b=2"], &["a=1; b=2"]),
        (
            &["__host-session=other; __Host-session2=other"],
            &["__host-session=other; __Host-session2=other"],
        ),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        assert_eq!(all(&inbound(&borders(&[]), &lines, false), "cookie"), left, "{lines:?}");
    }
}

#[test]
fn a_service_cannot_set_the_gateways_cookies() {
    let mut headers = headers(&[
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "__Host-session=stolen; Path=/; Secure"),
        ("set-cookie", " login-7 =x"),
        ("set-cookie", "=__Host-session=stolen"),
        ("set-cookie", "node=x"),
        ("set-cookie", "b=__Host-session"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
    ]);
    borders(&[]).outbound(&mut headers, Some("node"));
    assert_eq!(all(&headers, "set-cookie"), ["a=1; Path=/", "b=__Host-session"]);
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["set-cookie"]);
}

#[test]
fn a_client_may_go_on_with_another_protocol_but_not_with_another_http() {
    let asks = |upgrade: &str, connection: &str| {
        let headers = headers(&[("upgrade", upgrade), ("connection", connection)]);
        wish(&headers, Version::HTTP_11).upgrade.is_some()
    };
    assert!(asks("websocket", "keep-alive, Upgrade"));
    assert!(!asks("websocket", "keep-alive"));
    for http in ["h2c", "H2C", "HTTP/2.0", "websocket, h2c", "TLS/1.3"] {
        assert!(!asks(http, "upgrade"), "{http}");
    }
    let twice = headers(&[("upgrade", "websocket"), ("upgrade", "h2c"), ("connection", "upgrade")]);
    assert_eq!(wish(&twice, Version::HTTP_11).upgrade, None);
    let second =
        headers(&[("upgrade", "websocket"), ("connection", "upgrade"), ("te", "x, Trailers")]);
    assert_eq!(wish(&second, Version::HTTP_2), Wish { upgrade: None, trailers: true });
}

#[test]
fn addresses_are_written_as_everybody_writes_them() {
    for address in ["0.0.0.0", "1.20.100.255", "10.200.9.0", "2001:db8::1", "::ffff:10.0.0.1"] {
        let peer = Some(address.parse().unwrap());
        let client = Client { peer, https: false, host: None, version: Version::HTTP_11 };
        let mut headers = HeaderMap::new();
        borders(&[]).inbound(&mut headers, &client, None);
        assert_eq!(all(&headers, "x-forwarded-for"), [address]);
    }
}
