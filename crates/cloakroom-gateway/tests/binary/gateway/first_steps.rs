//! What somebody meets who has never seen the gateway: warnings, hints, and slips that do no harm.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use reqwest::StatusCode;
use tempfile::{TempDir, tempdir};

use super::origin::Origin;
use super::support::{Gateway, add_user, browser, log_in};
use crate::support::{command, free_port, wait_until};

const RULE: &str = "[[rule]]\npath = \"/**\"\naccess = \"login\"\n";
const UPSTREAM: &str = "[[upstream]]\nname = \"app\"\nservers = [\"http://127.0.0.1:1\"]\n";
const PASSWORD: &str = "wonderland-7";

/// Runs a command to its end; its exit code, what it said, and what it complained.
fn ran(dir: &Path, line: &str) -> (i32, String, String) {
    fed(dir, line, "")
}

/// As [`ran`], with an input.
fn fed(dir: &Path, line: &str, input: &str) -> (i32, String, String) {
    let mut process = command(dir)
        .args(line.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that reads nothing may be gone already.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let output = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A gateway without a file, with what it complains in the file `log`.
fn without_file(dir: TempDir, more: &[&str]) -> Gateway {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let mut arguments = vec!["--upstream", "http://127.0.0.1:1"];
    if !more.contains(&"--listen") {
        arguments.extend(["--listen", &listen]);
    }
    Gateway::run(dir, port, &[&arguments, more].concat())
}

#[test]
fn a_check_counts_its_warnings() {
    let dir = tempdir().unwrap();
    let check = |text: &str| {
        fs::write(dir.path().join("cloakroom.toml"), format!("{text}{UPSTREAM}{RULE}")).unwrap();
        ran(dir.path(), "check")
    };
    let (code, said, complaint) = check("");
    assert_eq!((code, said.lines().next(), &*complaint), (0, Some("cloakroom.toml is fine."), ""));
    let open = "[[listen]]\naddress = \"0.0.0.0:8080\"\n";
    let (code, said, complaint) = check(open);
    assert_eq!((code, said.lines().next()), (0, Some("cloakroom.toml is fine, with a warning.")));
    assert!(complaint.contains("over plain HTTP, browsers keep no login"), "{complaint}");
    assert!(complaint.contains("trusted_proxies") && complaint.contains("insecure_plain_http"));
    let (_, said, complaint) = check(&format!("{open}[forward_auth]\nfrom = \"10.0.0.7\"\n"));
    assert_eq!(said.lines().next(), Some("cloakroom.toml is fine, with 2 warnings."));
    assert!(complaint.contains("write them in `trusted_proxies`, too"), "{complaint}");
    for fine in [
        "trusted_proxies = [\"10.0.0.7\"]\n[[listen]]\naddress = \"[::]:80\"\n",
        "[session.cookie]\ninsecure_plain_http = true\n[[listen]]\naddress = \"[::]:80\"\n",
        "trusted_proxies = \"10.0.0.7\"\n[forward_auth]\nfrom = \"10.0.0.7\"\n",
    ] {
        assert_eq!(check(fine).2, "", "{fine}");
    }
}

#[test]
fn a_wrong_name_of_a_database_makes_none() {
    let dir = tempdir().unwrap();
    let users = "--users sqlite:typo.db";
    for asked in
        ["list", "passwd a --generate", "disable a", "enable a", "roles a", "remove a --yes"]
    {
        let (code, said, complaint) = ran(dir.path(), &format!("users {users} {asked}"));
        assert_eq!((code, &*said), (1, ""), "{asked}: {complaint}");
        assert!(complaint.contains("there is no users' database "), "{asked}: {complaint}");
        assert!(complaint.contains("hint: `cloakroom users add NAME` makes it"), "{complaint}");
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "{asked}");
    }
    let (code, _, complaint) = ran(dir.path(), &format!("users {users} add alice --generate"));
    assert_eq!(code, 0, "{complaint}");
    let made =
        format!("Made the file {}, which was not there.\n", dir.path().join("typo.db").display());
    assert_eq!(complaint, made);
    let (_, _, complaint) = ran(dir.path(), &format!("users {users} add bob --generate"));
    assert_eq!(complaint, "");
    assert_eq!(ran(dir.path(), &format!("users {users} list")).1.lines().count(), 2);
    // A file that is there, and not the one that is meant.
    File::create(dir.path().join("other.db")).unwrap();
    let (code, _, complaint) = ran(dir.path(), "users --users sqlite:other.db list");
    assert!(code == 1 && complaint.contains("there is no table of users"), "{complaint}");
    // Sessions in a store that is not there are not ended: nothing is changed.
    let (code, _, complaint) =
        ran(dir.path(), &format!("users {users} --store sqlite:none.db disable alice"));
    assert!(code == 1 && complaint.contains("there is no store of sessions"), "{complaint}");
    assert!(!ran(dir.path(), &format!("users {users} list")).1.contains("disabled"));
    assert!(!dir.path().join("none.db").exists());
    let (code, _, complaint) = ran(dir.path(), "users --users memory: add alice --generate");
    assert!(code == 2 && complaint.contains("gone when this command ends"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_user_is_signed_out_and_cannot_come_back() {
    let origin = Origin::start("app").await;
    let upstream = format!("[[upstream]]\nname = \"app\"\nservers = [\"{}\"]\n", origin.url());
    let gateway = Gateway::start(&format!("{upstream}{RULE}"));
    gateway.add_user("alice", PASSWORD, &[]);
    let client = browser();
    log_in(&client, &gateway, "alice", PASSWORD).await;
    let status = async || client.get(gateway.url("/x")).send().await.unwrap().status();
    let remove = |line: &str| ran(gateway.dir.path(), line);

    let (code, _, complaint) = remove("users remove alice");
    assert!(code == 2 && complaint.contains("hint: say --yes"), "{complaint}");
    assert!(!at_a_terminal(gateway.dir.path(), "users remove alice", "n").contains("removed"));
    assert_eq!(status().await, StatusCode::OK, "nobody has agreed");
    let said = at_a_terminal(gateway.dir.path(), "users remove alice", "y");
    assert!(said.contains("alice is removed.") && said.contains("Sessions ended: 1."), "{said}");
    assert_eq!(status().await, StatusCode::UNAUTHORIZED);
    let login = client.post(gateway.url("/.cloakroom/api/login"));
    let login = login.json(&serde_json::json!({ "username": "alice", "password": PASSWORD }));
    assert_eq!(login.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);

    gateway.add_user("alice", PASSWORD, &[]);
    log_in(&client, &gateway, "alice", PASSWORD).await;
    let (code, said, _) = remove("users remove alice --yes");
    assert!(code == 0 && said.contains("Sessions ended: 1."), "{said}");
    let (code, _, complaint) = remove("users remove alice --yes");
    assert!(code == 1 && complaint.contains("there is no user alice"), "{complaint}");
}

/// Runs a command at a terminal, where somebody gives an answer: all that is shown there.
fn at_a_terminal(dir: &Path, line: &str, answer: &str) -> String {
    let mut process = std::process::Command::new("script")
        .args(["-qec", &format!("{} {line}", env!("CARGO_BIN_EXE_cloakroom")), "/dev/null"])
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the Debian package bsdutils is on every machine");
    let mut input = process.stdin.take().unwrap();
    writeln!(input, "{answer}").unwrap();
    let output = process.wait_with_output().unwrap();
    drop(input);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn without_a_file_hints_name_the_command_line() {
    let dir = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let run = "run --upstream http://127.0.0.1:1";
    let (code, _, complaint) = ran(dir.path(), &format!("{run} --listen 127.0.0.1:{port}"));
    assert_eq!(code, 1);
    assert!(complaint.ends_with("choose another address with --listen\n"), "{complaint}");
    let text = "This is not a database, and long enough to be seen as none. ".repeat(40);
    fs::write(dir.path().join("cloakroom-data/sessions.db"), text).unwrap();
    let listen = format!("--listen 127.0.0.1:{}", free_port());
    let (code, _, complaint) = ran(dir.path(), &format!("{run} {listen}"));
    assert_eq!(code, 1);
    assert!(complaint.contains("hint: it is in the directory of --dir"), "{complaint}");
    assert!(!complaint.contains("[store]"), "{complaint}");
    let (code, _, complaint) =
        ran(dir.path(), "users --users sqlite:cloakroom-data/sessions.db list");
    assert_eq!(code, 1);
    assert!(!complaint.contains("[login]"), "{complaint}");
    // With a file, its words are named.
    let text = format!("listen = {{ address = \"127.0.0.1:{port}\" }}\n{UPSTREAM}{RULE}");
    fs::write(dir.path().join("cloakroom.toml"), text).unwrap();
    let (_, _, complaint) = ran(dir.path(), "run");
    assert!(complaint.ends_with("another `address` in [[listen]]\n"), "{complaint}");
}

#[test]
fn a_lost_password_is_set_anew_as_the_greeting_says() {
    for more in [&[][..], &["--dir", "elsewhere"]] {
        let dir = tempdir().unwrap();
        let place = dir.path().to_owned();
        let first = without_file(dir, more);
        assert!(first.greeting.contains("with the password `"), "{}", first.greeting);
        let copy = tempdir().unwrap();
        let kept = if more.is_empty() { "cloakroom-data" } else { "elsewhere" };
        fs::rename(place.join(kept), copy.path().join(kept)).unwrap();
        drop(first);
        let again = without_file(copy, more);
        assert!(!again.greeting.contains("with the password `"), "{}", again.greeting);
        let (_, rest) = again.greeting.split_once("`cloakroom ").unwrap();
        let (line, rest) = rest.split_once('`').unwrap();
        assert!(line.starts_with("users passwd admin"), "{line}");
        assert!(rest.starts_with(" sets a password that was lost."), "{rest}");
        let (code, said, complaint) = fed(again.dir.path(), line, "a-new-password\n");
        assert_eq!(code, 0, "{complaint}");
        assert!(said.contains("Sessions ended: 0."), "{said}{complaint}");
    }
}

#[test]
fn listening_to_others_without_a_certificate_is_warned_of() {
    for (address, warned) in [("127.0.0.1", false), ("0.0.0.0", true)] {
        let dir = tempdir().unwrap();
        let log = dir.path().join("log");
        let mut starting = command(dir.path());
        let listen = format!("{address}:{}", free_port());
        starting.args(["run", "--upstream", "http://127.0.0.1:1", "--listen", &listen]);
        let out = dir.path().join("out");
        starting.stdout(File::create(&out).unwrap()).stderr(File::create(&log).unwrap());
        let mut process = starting.spawn().unwrap();
        let started = || fs::read_to_string(&out).unwrap().contains("Ctrl-C ends it.");
        wait_until("it serves", started);
        process.kill().unwrap();
        process.wait().unwrap();
        let said = fs::read_to_string(&log).unwrap();
        let says = said.contains(&format!("warning: {listen} is plain HTTP"));
        assert_eq!(says, warned, "{said}");
    }
}

/// Whoever begins as the README says is let in.
#[tokio::test(flavor = "multi_thread")]
async fn the_template_serves_as_it_is() {
    let dir = tempdir().unwrap();
    assert_eq!(ran(dir.path(), "init").0, 0);
    let (code, said, complaint) = ran(dir.path(), "check");
    assert_eq!((code, &*complaint), (0, ""), "{said}");
    let origin = Origin::start("app").await;
    let port = free_port();
    let file = dir.path().join("cloakroom.toml");
    let text =
        fs::read_to_string(&file).unwrap().replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
    fs::write(&file, text.replace("http://127.0.0.1:3000", &origin.url())).unwrap();
    add_user(dir.path(), "alice", PASSWORD, &[]);
    let gateway = Gateway::run(dir, port, &[]);
    let client = browser();
    let login = client.post(gateway.url("/.cloakroom/api/login")).header("authorization", "Bearer");
    let login = login.json(&serde_json::json!({ "username": "alice", "password": PASSWORD }));
    let token = login.send().await.unwrap().headers()["x-session-token"].clone();
    let asked = client.get(gateway.url("/x")).bearer_auth(token.to_str().unwrap());
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::OK);
}
