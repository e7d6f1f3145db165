//! Looks for the tools that are needed, and builds the apps. Installs nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::app::{App, Kind, Places};

/// A program, and the Debian package that brings it.
pub(crate) type Tool = (&'static str, &'static str);

const REDIS: Tool = ("redis-server", "redis-server");
const TASKSET: Tool = ("taskset", "util-linux");
const SETPRIV: Tool = ("setpriv", "util-linux");

/// No app is measured without these.
pub(crate) const TO_COMPARE: [Tool; 4] = [("wrk", "wrk"), REDIS, TASKSET, SETPRIV];
/// No proxy is measured without these.
pub(crate) const TO_PROXY: [Tool; 5] =
    [("nginx", "nginx"), ("wrk", "wrk"), REDIS, TASKSET, SETPRIV];
/// No size is measured without these.
pub(crate) const TO_SCALE: [Tool; 3] = [REDIS, TASKSET, SETPRIV];

/// Why an app does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A tool is missing on this machine, which is nobody's fault.
    Missing(String),
    /// It should have been built, and was not.
    Broken(String),
}

impl Obstacle {
    /// Why, in words.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Missing(reason) | Self::Broken(reason) => reason,
        }
    }
}

/// Says which needed tools are missing.
///
/// # Errors
///
/// Where one is.
pub(crate) fn needed(tools: &[Tool]) -> Result<(), String> {
    let missing: Vec<String> =
        tools.iter().filter(|(program, _)| !is_there(program)).map(say).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing.join("\n")) }
}

/// Builds an app.
///
/// # Errors
///
/// Where a tool is missing or the build fails.
pub(crate) async fn build(app: &App, places: &Places) -> Result<(), Obstacle> {
    let tools: &[Tool] = match app.kind {
        Kind::Rust(_) => &[("cargo", "cargo")],
        Kind::Node => &[("node", "nodejs"), ("npm", "npm")],
        Kind::Java => &[("javac", "default-jdk-headless"), ("mvn", "maven")],
    };
    let missing: Vec<String> =
        tools.iter().filter(|(program, _)| !is_there(program)).map(say).collect();
    if !missing.is_empty() {
        return Err(Obstacle::Missing(missing.join(" ")));
    }
    let built = match app.kind {
        Kind::Rust(package) => rust(package, places).await,
        Kind::Node => node(places).await,
        Kind::Java => java(places).await,
    };
    built.map_err(|error| Obstacle::Broken(format!("it cannot be built: {error}")))
}

/// One package at a time, so that no app has the features that another asks for.
async fn rust(package: &str, places: &Places) -> io::Result<()> {
    let mut cargo = Command::new("cargo");
    // Not --locked: what our own crates depend on may change without this workspace's lock file.
    cargo.args(["build", "--release", "--quiet", "--package", package]);
    cargo.arg("--target-dir").arg(&places.target);
    finish(cargo.current_dir(&places.bench)).await
}

async fn node(places: &Places) -> io::Result<()> {
    let (from, to) = (places.bench.join("apps/express"), places.express());
    fs::create_dir_all(&to)?;
    for file in ["app.js", "package.json", "package-lock.json"] {
        fs::copy(from.join(file), to.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]);
    finish(npm.current_dir(to)).await
}

async fn java(places: &Places) -> io::Result<()> {
    let mut mvn = Command::new("mvn");
    mvn.args(["--quiet", "--batch-mode", "-DskipTests", "package"]);
    finish(mvn.current_dir(places.bench.join("apps/spring"))).await
}

/// Runs a build. What it says goes to standard error: standard output is the report's.
pub(crate) async fn finish(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let output = output.kill_on_drop(true).spawn()?.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Err(io::Error::other(format!("{} {}", output.status, said.trim())))
}

/// Whether a program is found where programs are looked for.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_file(&folder.join(program)))
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

pub(crate) fn say((program, package): &Tool) -> String {
    format!("There is no {program} here. On Debian, the package {package} brings it.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for() {
        assert!(is_there("sh"));
        assert!(!is_there("no-such-program-at-all"));
    }

    #[test]
    fn a_missing_tool_is_told_with_its_package() {
        assert!(say(&("mvn", "maven")).contains("the package maven"));
    }
}
