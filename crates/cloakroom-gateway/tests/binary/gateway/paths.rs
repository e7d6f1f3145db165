//! Spellings of a path that is denied: whatever is forwarded means something else to every service.

use std::collections::BTreeSet;
use std::thread;

use super::support::Gateway;
use super::wire::{NAVIGATES, Witness, get};

const RULES: [(&str, &str); 2] = [("/internal/**", "deny"), ("/**", "public")];

/// Everything that a service may take for `/internal/x`, or that looks like it.
fn spellings() -> BTreeSet<String> {
    let names = [
        "internal",
        "%69nternal",
        "%49nternal",
        "interna%6c",
        "interna%6C",
        "%69%6e%74%65%72%6e%61%6c",
        "Internal",
        "INTERNAL",
        "iNTERNAL",
        "%2569nternal",
        "internal;",
        "internal;x",
        "internal;x=1",
        "internal;x=%2f..",
        "internal%3b",
        "internal%3Bx",
        "internal%20",
        "internal%09",
        "internal%00",
        "internal%0a",
        "internal%0d%0a",
        "internal.",
        "internal%2e",
        "internal..",
        "internal%2F",
        "internal%5c",
        "internal\\",
        "internal?",
        "internal%3f",
        "internal#",
        "internal%23",
        "internal/",
        "internal//",
        "internal/.",
        "internal/./",
        "internal%252f",
        "inte%c2%adrnal",
        "internal%e2%80%8b",
        "%EF%BD%89nternal",
        "\u{ff49}nternal",
        "%C4%B1nternal",
        "%C4%B0nternal",
        "\u{130}nternal",
        "internal%c0%af",
        "internal%c0%80",
        "in\tternal",
        "internal\u{a0}",
        "+internal",
        "internal+",
        "internal%u002f",
        "internal%",
        "internal%zz",
        "internal%2",
        "internal:",
        "internal@",
        "internal~1",
        "internal::$DATA",
        "internal%3a%3a$DATA",
        "internal*",
        "internal$",
        "internal|x",
        "internal\"",
        "internal<>",
        "internal&x",
        "internal,x",
        "internal=x",
        "(internal)",
        "[internal]",
        "{internal}",
    ];
    let before = [
        "",
        "/",
        "//",
        "/.",
        "/./.",
        "/;",
        "/;x",
        "/a/..",
        "/a/%2e%2e",
        "/a/.%2E",
        "/a/..;",
        "/a/..;x=1",
        "/a/..%3b",
        "/a/..%00",
        "/a/..%20",
        "/a/..%09",
        "/a/..%2f",
        "/a%2f..",
        "/a/..%5c",
        "/a/..\\",
        "/a\\..",
        "/a/%252e%252e",
        "/a/%c0%ae%c0%ae",
        "/a/\u{ff0e}\u{ff0e}",
        "/a/%ef%bc%8e%ef%bc%8e",
        "/..",
        "/../..",
        "/a/../..",
        "/a//..",
        "/a/b/../..",
        "/.;",
        "/.;x/..;y",
        "/%2e",
        "/%2f",
        "/%5c",
        "/\\",
        "/a/.../..",
        "/a/....",
        "/%20/..",
        "/a;/..",
        "/a;b/../",
        "/./a/../.",
        "/a/%2e./",
        "/*/..",
        "/a/..%c0%af",
        "/a/..%252f",
        "/%2e%2e",
        "/a/../%2e",
        "http://a",
        "/a/..#",
        "/a?/..",
    ];
    let plain = before.iter().map(|before| format!("{before}/internal/x"));
    let named = names.iter().flat_map(|name| [format!("/{name}/x"), format!("/{name}")]);
    let both = ["//", "/a/../", "/a/..;/", "/%2e/"];
    let both =
        both.iter().flat_map(|before| names.iter().map(move |name| format!("{before}{name}/x")));
    plain.chain(named).chain(both).collect()
}

/// A path as a service may read it that takes parameters away, decodes, takes both slashes for one
/// and resolves what it finds; a control character ends a name, and whatever stands behind dots
/// that came with a semicolon is no name.
fn read(path: &str) -> Vec<String> {
    let mut bytes = Vec::new();
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(
                    u8::from_str_radix(&digits, 16).expect("only good escapes are forwarded"),
                );
            }
            other => bytes.push(other),
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut names: Vec<String> = Vec::new();
    for segment in text.split(['/', '\\']) {
        let end = segment.find(['\0', '\r', '\n', '\t']).unwrap_or(segment.len());
        let dots = segment.trim_start_matches('.').starts_with(';');
        let end = if dots { segment.find(';').unwrap_or(end) } else { end };
        match &segment[..end] {
            "" | "." => {}
            ".." => _ = names.pop(),
            name => names.push(name.to_owned()),
        }
    }
    names
}

/// One case, as loosely as any service might compare.
fn in_one_case(name: &str) -> String {
    let upper: String =
        name.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase).collect();
    upper.to_lowercase().replace("i\u{307}", "i")
}

/// A name as file systems of Windows take it: without dots and spaces at its end, and without the
/// type of its content behind it.
fn on_windows(name: &str) -> &str {
    let name = name.split("::$").next().unwrap_or_default();
    name.trim_end_matches(['.', ' '])
}

/// Asks for all of them, and returns what the service was asked.
fn forwarded(folds: bool) -> Vec<(String, String)> {
    let witness = Witness::start();
    let folding = format!("[paths]\nfold_case = {folds}\n");
    let gateway = Gateway::start(&format!("{folding}{}", witness.config(&RULES)));
    let port = gateway.port;
    let spellings: Vec<_> = spellings().into_iter().collect();
    assert!(spellings.len() > 400, "{}", spellings.len());
    let asking: Vec<_> = spellings
        .chunks(spellings.len().div_ceil(4))
        .map(|some| {
            let some = some.to_vec();
            thread::spawn(move || {
                let ask = |spelling: String| {
                    let host = if spelling.starts_with("http:") { "Host: a\r\n" } else { "" };
                    let request = match host {
                        "" => format!("GET {spelling} HTTP/1.1\r\nHost: a\r\nX-Raw: {}\r\nConnection: close\r\n\r\n", hex(&spelling)),
                        _ => format!("GET {spelling} HTTP/1.1\r\n{host}X-Raw: {}\r\nConnection: close\r\n\r\n", hex(&spelling)),
                    };
                    let replies = super::wire::exchange(port, request);
                    let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
                    let expected = [200, 400, 403];
                    assert!(matches!(&*statuses, [one] if expected.contains(one)), "{spelling:?}: {statuses:?}");
                };
                some.into_iter().for_each(ask);
            })
        })
        .collect();
    asking.into_iter().for_each(|asking| asking.join().unwrap());
    let seen = witness.take().into_iter();
    seen.map(|seen| (seen.all("x-raw")[0].to_owned(), seen.target().to_owned())).collect()
}

/// A spelling as a header can carry it.
fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn raw(hex: &str) -> String {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_denied_path_reaches_the_service_in_no_spelling() {
    let forwarded = forwarded(false);
    assert!(forwarded.len() > 50, "other paths pass: {}", forwarded.len());
    for (spelling, target) in forwarded {
        let spelling = raw(&spelling);
        let path = target.split('?').next().unwrap();
        let names = read(path);
        assert_ne!(names.first().map(String::as_str), Some("internal"), "{spelling:?}: {target}");
        // What is forwarded is what it is resolved to, however it is read.
        let again: String = names.iter().map(|name| format!("/{name}")).collect();
        let plain = path.trim_end_matches('/');
        assert_eq!(
            again.matches('/').count(),
            plain.matches('/').count(),
            "{spelling:?}: {target}"
        );
        assert!(
            path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\;#".contains(&byte)),
            "{target}"
        );
    }
}

#[test]
fn nor_where_services_fold_case() {
    let forwarded = forwarded(true);
    assert!(forwarded.len() > 50, "other paths pass: {}", forwarded.len());
    for (spelling, target) in forwarded {
        let names = read(target.split('?').next().unwrap());
        let first = names.first().map_or("", String::as_str);
        for name in [first, on_windows(first)] {
            assert_ne!(in_one_case(name), "internal", "{:?}: {target}", raw(&spelling));
        }
    }
}

#[test]
fn a_spelling_that_was_forwarded_is_forwarded_as_it_is() {
    let witness = Witness::start();
    let gateway = Gateway::start(&witness.config(&RULES));
    for (spelling, target) in [
        ("//a///b", "/a/b"),
        ("/a/./b/../c;x=1/%7e", "/a/c/~"),
        ("/%61?q=%2e%2e/../internal", "/a?q=%2e%2e/../internal"),
        ("/a?/internal#x", "/a?/internal"),
        ("/a#/../internal", "/a"),
        ("/a?x=//evil;y", "/a?x=//evil;y"),
        ("/", "/"),
        ("/a/", "/a/"),
        ("/%E4%BD%A0%e5%a5%bd", "/%E4%BD%A0%E5%A5%BD"),
    ] {
        for asked in [spelling, target] {
            let reply = get(gateway.port, asked, "");
            let seen = witness.take();
            let seen: Vec<_> = seen.iter().map(|seen| seen.target()).collect();
            assert_eq!((reply.status, &*seen), (200, &[target][..]), "{asked}");
        }
    }
}

/// What stands for itself in a path may be written as an escape, which services decode.
#[test]
fn a_rule_is_for_what_an_escape_means() {
    let witness = Witness::start();
    let rules = [("/in$ide/**", "deny"), ("/a@b/**", "deny"), ("/**", "public")];
    let gateway = Gateway::start(&witness.config(&rules));
    for denied in ["/in$ide/x", "/in%24ide/x", "/in%24ide", "/a@b/x", "/a%40b", "/x/../a%40b/x"] {
        assert_eq!(get(gateway.port, denied, "").status, 403, "{denied}");
    }
    assert!(witness.take().is_empty());
    assert_eq!(get(gateway.port, "/in%2524ide", "").status, 200, "which means another name");
}

#[test]
fn a_query_and_a_fragment_decide_nothing() {
    let witness = Witness::start();
    let rules = [("/open/**", "public"), ("/**", "deny")];
    let gateway = Gateway::start(&witness.config(&rules));
    for denied in [
        "/internal?/open/",
        "/internal?/../open/x",
        "/internal;/open/x",
        "/internal#/../open/x",
        "/internal%3F/../open%2Fx",
        "/internal?x=/open",
        "/?/open/x",
        "/internal/..;/internal?/open",
        "/open%3F/../internal",
        "/open/..?/open/",
        "/open%23/../internal",
        "/openx",
        "/open%20",
        "/open;/../internal",
    ] {
        let reply = get(gateway.port, denied, "");
        assert!(matches!(reply.status, 400 | 403), "{denied}: {reply:?}");
    }
    assert!(witness.take().is_empty());
    assert_eq!(get(gateway.port, "/open/x?/internal", "").status, 200);
}

#[test]
fn what_looks_like_a_page_of_the_gateway_meets_the_rules() {
    let witness = Witness::start();
    let gateway = Gateway::start(&witness.config(&[("/**", "deny")]));
    for path in [
        "//.cloakroom/login",
        "/./.cloakroom/login",
        "/%2ecloakroom/login",
        "/.CLOAKROOM/login",
        "/.cloakroom;x/login",
        "/a/../.cloakroom/login",
        "/.cloakroom",
        "/.cloakroom%2flogin",
    ] {
        let reply = get(gateway.port, path, NAVIGATES);
        assert!(matches!(reply.status, 400 | 403 | 404), "{path}: {reply:?}");
    }
    // And what begins like one leads nowhere else.
    for path in [
        "/.cloakroom/../internal",
        "/.cloakroom/..;/internal",
        "/.cloakroom//login",
        "/.cloakroom/x",
        "/.cloakroom/%2e%2e/internal",
        "/.cloakroom/login/",
        "/.cloakroom/login%2f..",
    ] {
        let reply = get(gateway.port, path, NAVIGATES);
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
    }
    assert_eq!(get(gateway.port, "/.cloakroom/login", NAVIGATES).status, 200);
    assert!(witness.take().is_empty());
}

/// Where everybody may go anywhere, too: what a service answered there would look like the gateway's.
#[test]
fn no_service_answers_for_a_page_of_the_gateway() {
    let witness = Witness::start();
    let gateway = Gateway::start(&witness.config(&[("/**", "public")]));
    for path in [
        "//.cloakroom/login",
        "/./.cloakroom/login",
        "/%2ecloakroom/login",
        "/.cloakroom;x/login",
        "/a/../.cloakroom/login",
        "/a/..;/.cloakroom/x",
        "/.cloakroom/x",
    ] {
        let reply = get(gateway.port, path, NAVIGATES);
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
        assert!(witness.take().is_empty(), "{path}");
    }
}
