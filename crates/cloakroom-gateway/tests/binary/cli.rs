//! What the command line says: its help, and what it cannot do.

use cloakroom::StoreUrl;
use std::net::TcpListener;
use std::path::Path;

use tempfile::tempdir;

use crate::support::{command, free_port};

/// Runs the binary to its end; its exit code, its output, and what it complained.
fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = command(dir).args(arguments).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Runs a demo that cannot start; its exit code and its complaint.
fn fails(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let (code, said, complaint) = run(dir, &[&["demo"], arguments].concat());
    assert_eq!(said, "", "nothing was started");
    (code, complaint)
}

#[test]
fn help_is_short() {
    let dir = tempdir().unwrap();
    let (code, help, _) = run(dir.path(), &["--help"]);
    assert_eq!((code, help.as_str()), (0, HELP));
    let (code, help, _) = run(dir.path(), &["demo", "-h"]);
    assert_eq!((code, help.as_str()), (0, DEMO_HELP));
    let (code, _, complaint) = run(dir.path(), &[]);
    assert_eq!((code, complaint.as_str()), (2, HELP));
}

const HELP: &str = "\
Sessions that several machines share

Usage: cloakroom <COMMAND>

Commands:
  run      Serves: sessions, logins and rules in front of your services
  init     Writes a configuration with everything that can be set, explained
  check    Says whether a configuration is fine, or shows each error in its place
  explain  Says which rule decides on a request, and why
  demo     Shows one session on two nodes, in your browser
  users    Adds, changes, removes and lists the users who sign in with a password
  help     Print this message or the help of the given subcommand(s)

Options:
  -h, --help     Print help
  -V, --version  Print version
";

const DEMO_HELP: &str = "\
Shows one session on two nodes, in your browser

Usage: cloakroom demo [OPTIONS]

Options:
      --store <URL>    Where sessions are kept: memory:, sqlite://PATH, redis://HOST, postgres://HOST/DATABASE, ... [env: CLOAKROOM_STORE]
      --dir <DIR>      The directory of the SQLite file; made where it is missing [default: cloakroom-demo]
      --port <PORT>    The port of the gateway, the one address to open, on 127.0.0.1 [default: 3000]
      --port-a <PORT>  The port of node A, on 127.0.0.1 [default: 3001]
      --port-b <PORT>  The port of node B, on 127.0.0.1 [default: 3002]
  -h, --help           Print help (see more with '--help')
  -V, --version        Print version
";

#[test]
fn a_port_in_use_is_named() {
    let dir = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _held = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let taken = taken.to_string();
    for (whose, option) in
        [("the gateway", "--port"), ("node A", "--port-a"), ("node B", "--port-b")]
    {
        let ports = [free_port(), free_port(), free_port()].map(|port| port.to_string());
        let mut arguments = Vec::new();
        for (name, port) in ["--port", "--port-a", "--port-b"].into_iter().zip(&ports) {
            arguments.extend([name, if name == option { &*taken } else { port }]);
        }
        let (code, complaint) = fails(dir.path(), &arguments);
        let expected = format!(
            "error: port {taken} of {whose} is in use\n  \
             hint: stop what listens on 127.0.0.1:{taken}, or choose another port with {option}\n"
        );
        assert_eq!((code, complaint), (1, expected));
    }
}

#[test]
fn each_needs_a_port_of_its_own() {
    let dir = tempdir().unwrap();
    let (code, complaint) = fails(dir.path(), &["--port-a", "3009", "--port-b", "3009"]);
    let expected = "error: both nodes cannot have port 3009\n  \
                    hint: give each its own with --port-a and --port-b\n";
    assert_eq!((code, complaint.as_str()), (2, expected));
    let (code, complaint) = fails(dir.path(), &["--port", "3009", "--port-b", "3009"]);
    let expected = "error: the gateway and a node cannot both have port 3009\n  \
                    hint: give each its own with --port, --port-a and --port-b\n";
    assert_eq!((code, complaint.as_str()), (2, expected));
}

#[test]
fn an_unknown_store_is_named_without_what_stands_behind_it() {
    let dir = tempdir().unwrap();
    let (code, complaint) = fails(dir.path(), &["--store", "mssql://alice:hunter2@host/db"]);
    assert_eq!(code, 2, "{complaint}");
    let examples = StoreUrl::examples();
    let expected = format!(
        "error: `mssql` is no store; there are {examples}\n  \
         hint: set --store or CLOAKROOM_STORE; `cloakroom demo --help` says how\n"
    );
    assert_eq!(complaint, expected);
}

#[test]
fn an_address_that_cannot_be_meant_is_a_matter_of_usage() {
    let dir = tempdir().unwrap();
    for (store, says) in [
        ("redis://", "the URL of the Redis server is not valid"),
        ("redis://:hunter2@host:port/", "the URL of the Redis server is not valid"),
        ("RedisS://:hunter2@127.0.0.1/#insecure", "#insecure is not supported"),
        ("redis://:hunter2@127.0.0.1?ca=/x", "write rediss instead of redis"),
        ("redis://:hunter2@a,b", "use redis+sentinel:// or redis+cluster://"),
        ("redis+sentinel://:hunter2@127.0.0.1", "add ?master="),
        ("redis+sentinel://a?master=m&x=hunter2", "behind the ? there can be"),
        ("redis+cluster://:hunter2@127.0.0.1/1", "only the database 0"),
        ("rediss+cluster://:hun/ter2@a", "write / as %2F"),
        ("redis+tls://:hunter2@a", "`redis+tls` is no store"),
        ("sqlite://x?y", "a path with `?`"),
        ("sqlite://", "a path is missing"),
        ("memory:foo", "a store in memory is `memory:` and no more"),
        ("hunter2 and more:x", "not the URL of a store"),
        ("hunter2", "not the URL of a store"),
    ] {
        let (code, complaint) = fails(dir.path(), &with_free_ports(&["--store", store]));
        assert_eq!(code, 2, "{store}: {complaint}");
        assert!(complaint.contains(says), "{store}: {complaint}");
        assert!(complaint.contains("hint: set --store or CLOAKROOM_STORE"), "{complaint}");
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_directory_and_a_store_are_one_too_many() {
    let dir = tempdir().unwrap();
    let (code, complaint) = fails(dir.path(), &["--dir", "x", "--store", "memory:"]);
    let usage = "\n\nUsage: cloakroom demo [OPTIONS]\n\nFor more information, try '--help'.\n";
    let typed = "error: the argument '--dir <DIR>' cannot be used with '--store <URL>'";
    assert_eq!((code, complaint), (2, format!("{typed}{usage}")));
    let mut command = command(dir.path());
    command.env("CLOAKROOM_STORE", "redis://:hunter2@host").args(["demo", "--dir", "x"]);
    let output = command.output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    let named = "error: the argument '--dir <DIR>' cannot be used while the environment variable \
                 CLOAKROOM_STORE names a store";
    assert_eq!((output.status.code(), complaint), (Some(2), format!("{named}{usage}")));
}

#[test]
fn a_redis_server_that_is_not_there_is_said_once_and_without_its_password() {
    let dir = tempdir().unwrap();
    let port = free_port();
    let store = format!("redis://:hunter2@127.0.0.1:{port}/");
    let (code, complaint) = fails(dir.path(), &with_free_ports(&["--store", &store]));
    assert_eq!(code, 1);
    let expected = format!(
        "error: the store cannot be used: cannot use the Redis server at 127.0.0.1:{port}: the \
         session store cannot be reached: Connection refused (os error 111)\n  \
         hint: start it, or leave --store out to use a file instead\n"
    );
    assert_eq!(complaint, expected);
}

#[test]
fn redis_in_no_form_shows_its_password_where_it_is_not_there() {
    let dir = tempdir().unwrap();
    let addr = format!("127.0.0.1:{}", free_port());
    const START: &str = "hint: start it, or leave --store out";
    const OR_NAME: &str = "hint: start it, name the authority that signed its certificate";
    for (scheme, rest, hint) in [
        ("redis+sentinel", "?master=m&sentinel_password=hunter2", START),
        ("redis+cluster", "", START),
        ("rediss", "", OR_NAME),
        ("rediss+sentinel", "?master=m", OR_NAME),
        ("rediss+cluster", "", OR_NAME),
    ] {
        let store = format!("{scheme}://:hunter2@{addr}{rest}");
        let (code, complaint) = fails(dir.path(), &with_free_ports(&["--store", &store]));
        assert_eq!(code, 1, "{store}: {complaint}");
        assert!(complaint.contains("error: the store cannot be used: "), "{complaint}");
        assert!(complaint.contains(&addr) && complaint.contains(hint), "{complaint}");
        assert!(!complaint.contains("hunter2"), "{complaint}");
        assert_eq!(complaint.lines().count(), 2, "{complaint}");
    }
}

#[test]
fn a_certificate_that_cannot_be_read_is_named() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("notes.pem"), "none").unwrap();
    for (file, says) in [("missing.pem", "cannot read"), ("notes.pem", "PEM format")] {
        let store = format!("rediss://:hunter2@127.0.0.1:1?ca={file}");
        let (code, complaint) = fails(dir.path(), &with_free_ports(&["--store", &store]));
        assert_eq!(code, 1, "{complaint}");
        assert!(complaint.contains(says) && complaint.contains(file), "{complaint}");
        assert!(complaint.contains("hint: set that right, or leave"), "{complaint}");
        assert!(!complaint.contains("hunter2"), "{complaint}");
    }
}

#[test]
fn a_directory_that_cannot_be_is_named() {
    let dir = tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let (code, complaint) = fails(dir.path(), &with_free_ports(&["--dir", "file/below"]));
    assert_eq!(code, 1);
    let expected = "error: the directory file/below cannot be made: Not a directory (os error 20)\n  \
                    hint: name another with --dir\n";
    assert_eq!(complaint, expected);
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let dir = tempdir().unwrap();
    let text = "This is not a database, and long enough to be seen as none. ".repeat(40);
    std::fs::write(dir.path().join("notes.txt"), text).unwrap();
    let arguments = ["--store", "sqlite://notes.txt"];
    let (code, complaint) = fails(dir.path(), &with_free_ports(&arguments));
    assert_eq!(code, 1);
    assert!(complaint.contains("notes.txt is not an SQLite database\n  hint: name a file"));
}

#[test]
fn a_part_of_the_demo_is_not_run_by_hand() {
    let dir = tempdir().unwrap();
    let (code, _, complaint) = run(dir.path(), &["demo-node", "a"]);
    let expected = "error: demo-node is a part of the demo and is not run by hand\n  \
                    hint: run `cloakroom demo`\n";
    assert_eq!((code, complaint.as_str()), (2, expected));
}

/// The arguments, with ports that nobody else has.
fn with_free_ports<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let port = || -> &'static str { free_port().to_string().leak() };
    [arguments, &["--port", port(), "--port-a", port(), "--port-b", port()]].concat()
}
