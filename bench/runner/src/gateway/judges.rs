//! Session services that proxies ask about each request, and how one signs in with each.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;

use super::config::{self, Asked, Ports};
use super::obtain::Programs;
use crate::app::{App, Places};
use crate::http::Client;
use crate::process::{Core, Listening, free_port, pinned};
use crate::redis::Redis;

/// Sessions in each service, all of one user: as many as there are connections.
const SESSIONS: usize = 64;
const USER: &str = "ada";
const PASSWORD: &str = "correct horse battery staple";
const ROLE: &str = "customer";

/// A session service that runs, and cookies of sessions in it that are signed in.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) server: Listening,
    pub(super) cookies: Vec<String>,
    /// How it is asked by proxies; `None`: as `deploy/` has it.
    pub(super) asked: Option<Asked>,
    _redis: Redis,
}

/// The gateway. `proxies`: whether other proxies ask it.
pub(super) async fn cloakroom(
    folder: &Path,
    programs: &Programs,
    origin: u16,
    proxies: bool,
) -> io::Result<Judge> {
    let name = if proxies { "judge" } else { "gateway" };
    let folder = folder.join(name);
    fs::create_dir(&folder)?;
    let redis = Redis::start(&folder, name).await?;
    let port = free_port()?;
    let ports = Ports { listen: port, judge: port, origin };
    fs::write(folder.join("cloakroom.toml"), config::gateway(ports, &redis.url(), proxies))?;
    add_user(&folder, &programs.gateway)?;
    let mut command = pinned(Core::Server, &programs.gateway);
    command.arg("run").current_dir(&folder);
    let server = Listening::start(command, port, folder.join("log")).await?;
    let mut client = Client::connect(port).await?;
    let mut cookies = Vec::new();
    for _ in 0..SESSIONS {
        let body = serde_json::json!({ "username": USER, "password": PASSWORD }).to_string();
        let answer = client.post("/.cloakroom/api/login", "application/json", body).await?;
        cookies.push(answer.cookie.ok_or_else(|| refused("cloakroom", &answer.body))?);
    }
    Ok(Judge { server, cookies, asked: None, _redis: redis })
}

/// Adds the user by the command line, as an administrator does.
fn add_user(folder: &Path, gateway: &Path) -> io::Result<()> {
    let mut command = std::process::Command::new(gateway);
    command.args(["users", "add", USER, "--role", ROLE]).current_dir(folder);
    let mut adding = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(mut input) = adding.stdin.take() {
        writeln!(input, "{PASSWORD}")?;
    }
    match adding.wait()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("no user could be added")),
    }
}

/// express-session over Redis.
pub(super) async fn express(folder: &Path, programs: &Programs) -> io::Result<Judge> {
    programs.express.clone().map_err(io::Error::other)?;
    let app = App::named("express-session").ok_or_else(|| io::Error::other("no such app"))?;
    let redis = Redis::start(folder, "express").await?;
    let port = free_port()?;
    let command = app.command(&Places::here(), port, &redis.url());
    let server = Listening::start(command, port, folder.join("express.log")).await?;
    let mut client = Client::connect(port).await?;
    let mut cookies = Vec::new();
    for _ in 0..SESSIONS {
        let answer = client.get("/seed", None).await?;
        cookies.push(answer.cookie.ok_or_else(|| refused("express-session", &answer.body))?);
    }
    let asked = Some(Asked { path: "/auth", user: "X-User-Id" });
    Ok(Judge { server, cookies, asked, _redis: redis })
}

/// oauth2-proxy with its own users' file, as its documentation has it, over Redis.
pub(super) async fn oauth2_proxy(folder: &Path, programs: &Programs) -> io::Result<Judge> {
    let program = programs.oauth2_proxy.clone().map_err(io::Error::other)?;
    let redis = Redis::start(folder, "oauth2-proxy").await?;
    let port = free_port()?;
    // {SHA}, which htpasswd -s writes: oauth2-proxy reads it and bcrypt.
    let users = folder.join("htpasswd");
    fs::write(&users, format!("{USER}:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"))?;
    let mut command = pinned(Core::Server, program);
    command.arg(format!("--http-address=127.0.0.1:{port}"));
    command.arg(format!("--redis-connection-url={}", redis.url()));
    command.arg("--htpasswd-file").arg(&users);
    command.args(["--session-store-type=redis", "--client-id=none", "--client-secret=none"]);
    command.args(["--cookie-secret=0123456789abcdef0123456789abcdef", "--cookie-secure=false"]);
    command.args(["--email-domain=*", "--upstream=static://202", "--set-xauthrequest=true"]);
    command.args(["--reverse-proxy=true", "--request-logging=false", "--auth-logging=false"]);
    let server = Listening::start(command, port, folder.join("oauth2-proxy.log")).await?;
    let mut client = Client::connect(port).await?;
    let mut cookies = Vec::new();
    for _ in 0..SESSIONS {
        let body = format!("username={USER}&password=secret&rd=%2F");
        let form = "application/x-www-form-urlencoded";
        let answer = client.post("/oauth2/sign_in", form, body).await?;
        cookies.push(answer.cookie.ok_or_else(|| refused("oauth2-proxy", &answer.body))?);
    }
    let asked = Some(Asked { path: "/oauth2/auth", user: "X-Auth-Request-User" });
    Ok(Judge { server, cookies, asked, _redis: redis })
}

fn refused(name: &str, body: &str) -> io::Error {
    io::Error::other(format!("{name} lets nobody sign in: {body}"))
}
