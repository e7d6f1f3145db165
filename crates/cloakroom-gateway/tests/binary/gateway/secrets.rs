//! What the log tells at its most talkative: nothing that opens a session, and no password.

use std::fs::{self, File};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::support::{add_user, whole};
use super::wire::{NAVIGATES, Witness, ask, get, sign_in, try_to_sign_in};
use crate::support::{answers, command, free_port, wait_until};

const PASSWORD: &str = "wonderland-secret-7";
const MISTYPED: &str = "mistyped-secret-8";

/// A process that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn no_log_has_a_token_or_a_password() {
    let witness = Witness::start();
    let (dir, port) = (TempDir::new().unwrap(), free_port());
    let config = witness.config(&[("/order/**", "login"), ("/**", "public")]);
    let config = format!("{config}anonymous_id = true\naudience = \"shop\"\n").replacen(
        "audience = \"shop\"\n",
        "",
        1,
    );
    let config = config.replacen("name = \"shop\"", "name = \"shop\"\naudience = \"shop\"", 1);
    fs::write(dir.path().join("cloakroom.toml"), whole(&config, port)).unwrap();
    add_user(dir.path(), "alice", PASSWORD, &["buyer"]);
    let log = dir.path().join("log");
    let mut starting = command(dir.path());
    starting.arg("run").env("RUST_LOG", "trace");
    starting.stdout(File::create(dir.path().join("out")).unwrap());
    starting.stderr(File::create(&log).unwrap()).stdin(Stdio::null());
    let running = Running(starting.spawn().unwrap());
    wait_until("the gateway listens", || answers(port));

    let form = "Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let json = "Content-Type: application/json\r\n";
    let mut secrets = vec![PASSWORD.to_owned(), MISTYPED.to_owned()];
    let sent = get(port, "/order/1", NAVIGATES);
    let flow = sent.cookie("cloakroom-flow").unwrap().to_owned();
    let browser = format!("Cookie: cloakroom-flow={flow}\r\n");
    for body in [
        format!("username=alice&password={MISTYPED}"),
        format!("username=alice&password={MISTYPED}&password={MISTYPED}"),
        format!("password={MISTYPED}"),
        MISTYPED.to_owned(),
    ] {
        ask(port, "POST", "/.cloakroom/login", &format!("{form}{browser}"), &body);
    }
    for body in [
        format!("{{\"username\":\"alice\",\"password\":\"{MISTYPED}\"}}"),
        format!("{{\"username\":\"alice\",\"password\":[\"{MISTYPED}\"]}}"),
        format!("{{\"username\":\"alice\",\"password\":\"{MISTYPED}"),
        format!("{{\"username\":\"alice\",\"password\":\"x\",\"remember\":\"{MISTYPED}\"}}"),
        format!("{{\"{MISTYPED}\":1}}"),
        format!("\"{MISTYPED}\""),
    ] {
        ask(port, "POST", "/.cloakroom/api/login", json, &body);
    }
    let login = format!("username=alice&password={PASSWORD}&remember=yes");
    let reply = ask(port, "POST", "/.cloakroom/login", &format!("{form}{browser}"), &login);
    assert_eq!(reply.status, 303, "{reply:?}");
    let token = reply.cookie("id").unwrap().to_owned();
    let held = format!("Cookie: id={token}; cloakroom-flow={flow}\r\n");
    secrets.push(token.clone());
    let visitor = get(port, "/x", "");
    let anonymous = visitor.all("set-cookie")[0].split(['=', ';']).nth(1).unwrap().to_owned();
    for path in
        ["/order/1", "/x", "/.cloakroom/me", "/.cloakroom/api/sessions", "/.cloakroom/api/me"]
    {
        assert_eq!(get(port, path, &held).status, 200, "{path}");
        get(port, path, &format!("Authorization: Bearer {token}\r\n"));
    }
    let assertion =
        witness.take().iter().find_map(|seen| Some((*seen.all("x-identity").first()?).to_owned()));
    let again = try_to_sign_in(port, "alice", PASSWORD, &held);
    let second = again.cookie("id").unwrap().to_owned();
    let third = sign_in(port, "alice", PASSWORD);
    ask(port, "POST", "/.cloakroom/logout", &format!("{form}Cookie: id={second}\r\n"), "x=y");
    get(port, "/order/1", &format!("Cookie: id={second}\r\n"));
    secrets.extend([
        second,
        third.replace("id=", ""),
        flow,
        anonymous,
        assertion.expect("an assertion"),
    ]);
    // Half of a token is its key, which may be told; the other half is what proves it.
    let halves: Vec<_> =
        secrets[2..5].iter().map(|token| token[token.len() / 2..].to_owned()).collect();
    secrets.extend(halves);
    drop(running);
    let mut said = fs::read_to_string(log).unwrap();
    said += &fs::read_to_string(dir.path().join("out")).unwrap();
    assert!(said.contains("DEBUG"), "the log is talkative: {} bytes", said.len());
    for secret in &secrets {
        let line = said.lines().find(|line| line.contains(&**secret));
        assert_eq!(line, None, "a secret of {} letters is told", secret.len());
    }
}
