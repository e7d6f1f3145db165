//! What configurations mean, and what is said of those that mean nothing.

use std::path::Path;

use super::*;
use crate::access::{Asked, Path as Asks};
use crate::login::Binding;
use crate::proxy::{Balance, Scheme};

const UPSTREAM: &str = "[[upstream]]\nname = \"app\"\nservers = [\"http://127.0.0.1:3000\"]\n";
const RULE: &str = "[[rule]]\npath = \"/**\"\naccess = \"login\"\n";

fn read(text: &str) -> Result<Loaded, BadConfig> {
    let source = Source { name: "cloakroom.toml".to_owned(), text: text.to_owned() };
    let around = Surroundings {
        folder: Path::new("/etc/cloakroom"),
        variable: &|name| (name == "PASSWORD").then(|| "hunter2".to_owned()),
        is_file: &|path| path.starts_with("/etc/cloakroom/tls"),
        content: &|_| Ok(b"no certificate".to_vec()),
    };
    read::read(source, around)
}

fn config(text: &str) -> Config {
    read(text).unwrap_or_else(|bad| panic!("{bad}")).config
}

/// What is said of a file with `text` in it before an upstream and a rule.
fn said(text: &str) -> String {
    let bad = read(&format!("{text}\n{UPSTREAM}{RULE}")).expect_err(text);
    assert!(!bad.to_string().contains("hunter2"), "{bad}");
    bad.to_string()
}

#[test]
fn the_template_is_fine_as_it_is_and_with_every_example_in_force() {
    let loaded = read(TEMPLATE).unwrap_or_else(|bad| panic!("{bad}"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    let without_file =
        Config::without_file("http://127.0.0.1:3000", DEFAULT_ADDRESS, Path::new("")).unwrap();
    assert_eq!(loaded.config.upstreams[0].servers, without_file.upstreams[0].servers);
    assert_eq!(loaded.config.policy, without_file.policy);
    assert_eq!(loaded.config.limits, without_file.limits);
    // Each default that the template shows is the default.
    let defaults = config(&format!("[store]\nurl = \"sqlite://sessions.db\"\n{UPSTREAM}{RULE}"));
    let examples = [
        "url = \"redis",
        "users =",
        "remember =",
        "token_header",
        "domain =",
        "logo =",
        "style =",
        "path = \"/health",
        "every =",
        "timeout =",
        "up_after",
        "down_after",
        "audience",
        "ca =",
        "max_body",
        "title",
        "accent",
        "return_hosts",
        "anonymous_id",
        "workers",
        "places",
        "hosts =",
        "trusted_proxies",
        "most =",
        "when_full",
        "from =",
        "address = \"[",
        "certificates",
        "key = \"tls",
        "methods",
        "allow_from",
        "upstream =",
        "[",
        "path = \"/",
        "access =",
    ];
    let shown = |line: &str| {
        let line = line.strip_prefix('#').filter(|line| !line.starts_with(' '));
        line.is_some_and(|line| !examples.iter().any(|example| line.starts_with(example)))
    };
    let in_force = |line: &str| match shown(line) {
        true => line.trim_start_matches('#').to_owned(),
        false => line.to_owned(),
    };
    // Time-outs have to be below the header that is commented out.
    let text: Vec<String> = TEMPLATE.lines().map(in_force).collect();
    let text = text.join("\n").replace("#[upstream.timeouts]", "[upstream.timeouts]");
    let all = config(&text);
    assert_eq!((&all.policy, &all.cookie), (&defaults.policy, &defaults.cookie));
    assert_eq!((&all.limits, &all.upstreams), (&defaults.limits, &defaults.upstreams));
    assert_eq!((&all.login, &all.identity), (&defaults.login, &defaults.identity));
    assert_eq!((all.sweep_every, &all.listen), (defaults.sweep_every, &defaults.listen));
}

#[test]
fn the_words_of_a_file_are_what_they_mean() {
    let all = config(
        r#"
trusted_proxies = "10.0.0.0/8"
hosts = ["Shop.Example"]
workers = 3
store = { url = "redis://:${PASSWORD}@h:6379", sweep = "5s" }
paths.fold_case = true
[session]
idle = "never"
lifetime = "8h"
seats = { most = 2, when_full = "refuse" }
cookie = { name = "shop", persistent = true }
token_header = "X-Token"
[[listen]]
address = "0.0.0.0:443"
certificates = "tls/chain.pem"
key = "tls/key.pem"
[limits]
head_bytes = "16 KiB"
[[upstream]]
name = "shop"
servers = ["https://shop.example", { url = "h2c://[::1]:8002", weight = 3 }]
balance = "cookie:node"
timeouts.connect = "500ms"
health = { path = "/health?full=1", every = "1s" }
max_body = "10 MiB"
[[upstream]]
name = "other"
servers = "http://127.0.0.1:8003"
[[rule]]
path = "/Internal/**"
access = "deny"
[[rule]]
path = "/admin/**"
hosts = "*.shop.example"
methods = ["GET"]
allow_from = ["10.0.0.0/8", "::1"]
access = ["role:admin", "role:staff"]
upstream = "shop"
[[rule]]
path = "/**"
access = "public"
anonymous_id = true
upstream = "other"
[login]
users = "postgres://app:${PASSWORD}@db/users"
title = "The shop"
bind = "prefix"
remember = "30days"
throttle = { account = 5 }
[identity]
headers.user = "X-Who"
[forward_auth]
from = ["127.0.0.1"]
"#,
    );
    assert_eq!(all.store.reveal(), "redis://:hunter2@h:6379");
    assert_eq!(all.login.users.0, "postgres://app:hunter2@db/users");
    assert_eq!((all.policy.idle, all.policy.seats.unwrap().most), (None, 2));
    assert_eq!((all.cookie.name.as_str(), all.cookie.persistent), ("shop", true));
    assert_eq!(all.cookie.token_header.as_ref().unwrap(), "x-token");
    let tls = all.listen[0].tls.as_ref().unwrap();
    assert_eq!(tls.certificates, Path::new("/etc/cloakroom/tls/chain.pem"));
    assert_eq!((all.limits.head_bytes, all.limits.headers), (16 * 1024, 100));
    let shop = &all.upstreams[0];
    let [first, second] = shop.servers.as_slice() else { panic!("{:?}", shop.servers) };
    assert_eq!((first.scheme, &*first.host, first.port), (Scheme::Https, "shop.example", 443));
    assert_eq!((second.scheme, &*second.host, second.port), (Scheme::H2c, "[::1]", 8002));
    assert_eq!((first.weight, second.weight), (1, 3));
    assert_eq!(shop.balance, Balance::Cookie("node".to_owned()));
    assert_eq!(shop.timeouts.connect, Duration::from_millis(500));
    assert_eq!((shop.health.as_ref().unwrap().down_after, shop.most_body), (3, Some(10 << 20)));
    assert_eq!((all.login.binding, all.login.throttling.account), (Binding::Prefix, 5));
    assert_eq!(all.identity.names.user, "x-who");
    assert_eq!((all.workers, all.hosts.as_slice()), (Some(3), &["shop.example".to_owned()][..]));
    let first = |path: &str| {
        let path = Asks::parse(path, all.folding).unwrap();
        let method = &http::Method::HEAD;
        let asked = Asked { method, host: "a.shop.example", path: &path, address: None };
        let rule = all.rules.first(&asked).unwrap();
        (rule.line, rule.upstream.as_deref(), rule.anonymous_id)
    };
    assert_eq!(first("/INTERNAL/x"), (29, None, false));
    assert_eq!(first("/ADMIN"), (32, Some("shop"), false));
    assert_eq!(first("/"), (39, Some("other"), true));
}

#[test]
fn every_error_of_a_file_is_shown_with_its_place_and_what_to_do() {
    let bad = read(
        r#"[store]
url = "redis://:hunter2@h:6379"
swep = "1m"
[[upstream]]
name = "shop"
servers = ["127.0.0.1:8001", "http://127.0.0.1:8002"]
balance = "stiky"
[[rule]]
path = "/a/../sku/**"
access = "deny"
[[rule]]
path = "/**"
access = "logn"
upstream = "shp"
"#,
    )
    .unwrap_err();
    assert_eq!(bad.errors, 6);
    let expected = r#"error: `swep` is not known in [store]
 --> cloakroom.toml:3:1
  |
3 | swep = "1m"
  | ^^^^
  help: did you mean `sweep`?

error: this is no URL of a server
 --> cloakroom.toml:6:12
  |
6 | servers = ["127.0.0.1:8001", "http://127.0.0.1:8002"]
  |            ^^^^^^^^^^^^^^^^
  help: write "http://HOST:PORT"; https:// and h2c:// are known, too

error: this word is not known here
 --> cloakroom.toml:7:11
  |
7 | balance = "stiky"
  |           ^^^^^^^
  help: did you mean "sticky"?

error: no path looks like this pattern when rules are asked
 --> cloakroom.toml:9:8
  |
9 | path = "/a/../sku/**"
  |        ^^^^^^^^^^^^^^
  help: write `/sku/**`

error: this word is not known here
  --> cloakroom.toml:13:10
   |
13 | access = "logn"
   |          ^^^^^^
  help: did you mean "login"?

error: there is no upstream called "shp"
  --> cloakroom.toml:14:12
   |
14 | upstream = "shp"
   |            ^^^^^
  help: did you mean "shop"?"#;
    assert_eq!(bad.to_string(), expected);
}

#[test]
fn what_cannot_be_meant_is_refused_and_no_password_is_shown() {
    for (text, expected) in [
        ("[store]\nurl = \"redi://:hunter2@h\"", "no store goes by such an URL"),
        ("[store]\nurl = \"redis://:hunter2@${NONE}\"", "variable NONE is not set"),
        ("[store]\nurl = 'redis://:hunter2@h", "this is not TOML"),
        ("[store]\nurl = \"hunter2@h\" x", "this is not TOML"),
        ("[store]", "`url` is missing in [store]"),
        ("store = 1", "`store` has to be a table"),
        ("workers = 0", "a whole number from 1 to 1024"),
        ("[session]\nidle = 30", "expected a duration"),
        ("[session]\nidle = \"1m\"\ntouch_after = \"2m\"", "`touch_after` must be shorter"),
        ("[session.cookie]\nname = \"a b\"", "the cookie's name"),
        ("[session]\ntoken_header = \"Cookie\"", "has a meaning already"),
        ("[listen]\naddress = \"8080\"", "no address to listen at"),
        ("[listen]\naddress = \"[::]:443\"\nkey = \"tls/x\"", "both `certificates` and `key`"),
        (
            "[listen]\naddress = \"[::]:443\"\nkey = \"tls/x\"\ncertificates = \"x\"",
            "there is no file /etc/cloakroom/x",
        ),
        ("[limits]\nheaders = 100000", "a whole number from 1 to 1000"),
        ("trusted_proxies = [\"10.0.0.0/33\"]", "this is no network"),
        ("hosts = [\"*.shop.example\"]", "a star means nothing here"),
        ("[login]\nusers = \"redis://:hunter2@h\"", "this is the URL of none"),
        ("[login]\nusers = \"memory:\"", "users in memory would be gone after a restart"),
        ("[login]\nusers = \"sqlite::memory:\"", "users in memory would be gone after a restart"),
        ("[login]\naccent = \"red;}\"", "this is no colour"),
        ("[login]\nlogo = \"none.svg\"", "there is no file"),
        ("[identity]\nheaders = { user = \"X_A\", roles = \"x-a\" }", "have the same name"),
        ("[identity.headers]\nuser = \"X.Forwarded.For\"", "has a meaning already"),
        ("[forward_auth]", "`from` is missing in [forward_auth]"),
        ("[rule]\npath = \"/\"", "this is not TOML"),
        ("[[rule]]\npath = \"/.cloakroom/me\"\naccess = \"deny\"", "the gateway answers"),
        ("[[rule]]\npath = \"/x\"\naccess = []", "a list of no roles"),
        ("[[rule]]\npath = \"/x\"\naccess = [\"login\"]", "this names no role"),
        ("[[rule]]\npath = \"/x\"\naccess = \"role:\"", "this names no role"),
        ("[[rule]]\npath = \"/x\"", "`access` is missing in [[rule]]"),
        ("[[rule]]\npath = \"/x\"\naccess = \"deny\"\nmethods = \"get\"", "write \"GET\""),
        ("[[upstream]]\nname = \"app\"\nservers = [\"http://a\"]", "two upstreams called \"app\""),
        (
            "[[upstream]]\nname = \"b\"\nservers = [\"http://u:hunter2@a\"]",
            "no user and no password",
        ),
        ("[[upstream]]\nname = \"b\"\nservers = [\"http://a/x\"]", "has no path"),
        ("[[upstream]]\nname = \"b\"\nservers = []", "`servers` is missing"),
        ("[[upstream]]\nname = \"b\"\nservers = [\"http://a\", \"http://A:80\"]", "already"),
        ("[[upstream]]\nname = \"b\"\nservers = [{ url = \"http://a\", wieght = 2 }]", "`weight`?"),
        ("[[upstream]]\nname = \"b\"\nservers = [\"http://a\"]", "does not say which upstream"),
    ] {
        let said = said(text);
        assert!(said.contains(expected), "{text}\n{said}");
    }
    let none = read("").unwrap_err().to_string();
    assert!(none.contains("there is no rule"), "{none}");
    let nowhere = read(RULE).unwrap_err().to_string();
    assert!(nowhere.contains("there is no upstream that"), "{nowhere}");
}

#[test]
fn what_is_worth_a_second_look_is_shown() {
    for (text, expected) in [
        (format!("{UPSTREAM}{RULE}[[rule]]\npath = \"/x\"\naccess = \"deny\""), "never decides"),
        (format!("[store]\nurl = \"memory:\"\n{UPSTREAM}{RULE}"), "sessions in memory end"),
        (format!("[store]\nurl = \"redis://h\"\n{UPSTREAM}{RULE}"), "this machine alone"),
        (
            format!("[listen]\naddress = \"192.0.2.1:80\"\n{UPSTREAM}{RULE}"),
            "browsers keep no login but at localhost",
        ),
        (format!("[forward_auth]\nfrom = \"127.0.0.1\"\n{RULE}"), "not trusted to say who"),
    ] {
        let warnings = read(&text).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(expected), "{warnings:?}");
    }
    let proxy = format!("[forward_auth]\nfrom = \"127.0.0.1\"\n{RULE}");
    assert_eq!(config(&proxy).rules.iter().next().unwrap().upstream, None);
}

#[test]
fn with_no_file_everything_asks_for_a_login() {
    let all =
        Config::without_file("http://127.0.0.1:3000", DEFAULT_ADDRESS, Path::new("/var/lib/x"))
            .unwrap();
    assert_eq!(all.store.reveal(), "sqlite:///var/lib/x/sessions.db");
    let rule = all.rules.iter().next().unwrap();
    assert_eq!((&rule.access, rule.upstream.as_deref()), (&Access::Login, Some("app")));
    assert_eq!(rule.path.as_str(), "/**");
    for bad in ["127.0.0.1:3000", "http://127.0.0.1:8080", "http://localhost:8080"] {
        assert!(Config::without_file(bad, DEFAULT_ADDRESS, Path::new("")).is_err(), "{bad}");
    }
}

#[test]
fn a_server_that_is_the_gateway_itself_is_found() {
    let around = |listen: &str, server: &str| {
        let listen = format!("[listen]\naddress = \"{listen}\"\n");
        read(&format!("{listen}{}{RULE}", UPSTREAM.replace("http://127.0.0.1:3000", server)))
    };
    for (listen, server) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("127.0.0.1:8080", "http://localhost:8080"),
        ("[::1]:8080", "h2c://localhost:8080"),
        ("0.0.0.0:80", "http://127.0.0.1"),
        ("0.0.0.0:443", "https://localhost"),
        ("[::]:8080", "http://127.0.0.1:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("10.1.2.3:8080", "http://10.1.2.3:8080"),
    ] {
        let said = around(listen, server).expect_err(server).to_string();
        assert!(said.contains("the gateway itself"), "{listen} {server}: {said}");
    }
    for (listen, server) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8081"),
        ("127.0.0.1:8080", "http://127.0.0.2:8080"),
        ("127.0.0.1:8080", "http://[::1]:8080"),
        ("0.0.0.0:8080", "http://[::1]:8080"),
        ("0.0.0.0:8080", "http://10.1.2.3:8080"),
        ("[::]:8080", "http://shop.example:8080"),
    ] {
        assert!(around(listen, server).is_ok(), "{listen} {server}");
    }
}

#[test]
fn who_vouches_for_servers_is_read_with_the_file() {
    let with = |ca: &str, scheme: &str| {
        let upstream = UPSTREAM.replace("http", scheme);
        read(&format!("{upstream}ca = \"{ca}\"\n{RULE}"))
    };
    let missing = with("none.pem", "https").unwrap_err().to_string();
    assert!(missing.contains("no file /etc/cloakroom/none.pem"), "{missing}");
    let bad = with("tls/bad.pem", "https").unwrap_err().to_string();
    assert!(bad.contains("tls/bad.pem cannot be used: there is no PEM certificate in"), "{bad}");
    let signed = cloakroom_testkit::servers::Certificates::make();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cloakroom.toml");
    std::fs::copy(signed.authority(), folder.path().join("ca.pem")).unwrap();
    for (scheme, warnings) in [("https", 0), ("http", 1)] {
        let upstream = UPSTREAM.replace("http", scheme);
        std::fs::write(&file, format!("{upstream}ca = \"ca.pem\"\n{RULE}")).unwrap();
        let loaded = Config::load(&file).unwrap();
        assert!(loaded.config.upstreams[0].authorities.is_some());
        assert_eq!(loaded.warnings.len(), warnings, "{:?}", loaded.warnings);
    }
    let half = std::fs::read(signed.authority()).unwrap();
    std::fs::write(folder.path().join("ca.pem"), &half[..half.len() / 2]).unwrap();
    assert!(Config::load(&file).is_err());
}
