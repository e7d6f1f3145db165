//! What was compared, and on what: versions and the machine.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde::Serialize;

use crate::app::{App, Kind, Places};

/// The version of each thing, by its name.
pub(crate) type Versions = BTreeMap<String, String>;

/// The machine.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// What the processor calls itself.
    pub(crate) cpu: String,
    /// How many cores it has.
    pub(crate) cores: usize,
    /// Memory, in gibibytes.
    pub(crate) memory_gib: f64,
    /// The kernel.
    pub(crate) kernel: String,
}

impl Machine {
    /// This machine. What the kernel does not tell stays empty.
    pub(crate) fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            // Not what this process may use: it keeps to one core.
            cores: cores(&read("/proc/cpuinfo")),
            memory_gib: memory_gib(&read("/proc/meminfo")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// The versions of the apps' libraries and of what they run on.
pub(crate) fn versions(apps: &[App], places: &Places) -> Versions {
    let cargo = fs::read_to_string(places.bench.join("Cargo.lock")).unwrap_or_default();
    let npm = fs::read_to_string(places.bench.join("apps/express/package-lock.json"));
    let npm = npm.unwrap_or_default();
    let pom = fs::read_to_string(places.bench.join("apps/spring/pom.xml")).unwrap_or_default();
    let mut versions = Versions::new();
    for app in apps {
        let names: &[&str] = match app.kind {
            Kind::Rust(_) if app.library == "tower-sessions" => {
                &["tower-sessions", "tower-sessions-redis-store"]
            }
            Kind::Rust(_) => &[app.library],
            Kind::Node => &["express", "express-session", "connect-redis"],
            Kind::Java => &["spring-boot"],
        };
        for name in names {
            let version = match app.kind {
                Kind::Rust(_) => of_cargo(&cargo, name),
                Kind::Node => of_npm(&npm, name),
                Kind::Java => of_parent(&pom),
            };
            versions.extend(version.map(|version| ((*name).to_owned(), version)));
        }
    }
    versions.extend(tools(apps));
    versions
}

/// The versions of the programs that take part.
fn tools(apps: &[App]) -> Versions {
    let uses = |kind| apps.iter().any(|app| app.kind == kind);
    let mut tools = vec![("redis-server", "--version"), ("wrk", "-v"), ("rustc", "--version")];
    tools.extend(uses(Kind::Node).then_some(("node", "--version")));
    tools.extend(uses(Kind::Java).then_some(("java", "-version")));
    let version = |(program, option): (&str, &str)| {
        let output = Command::new(program).arg(option).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let version = first_version(&String::from_utf8_lossy(&text))?;
        Some((program.to_owned(), version))
    };
    tools.into_iter().filter_map(version).collect()
}

/// The version of a package in the text of a Cargo.lock.
fn of_cargo(lock: &str, name: &str) -> Option<String> {
    let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(rest.split('"').next()?.to_owned())
}

/// The version of a package in the text of a package-lock.json.
fn of_npm(lock: &str, name: &str) -> Option<String> {
    let lock: serde_json::Value = serde_json::from_str(lock).ok()?;
    Some(lock["packages"][format!("node_modules/{name}")]["version"].as_str()?.to_owned())
}

/// The version of the parent in the text of a pom.xml.
fn of_parent(pom: &str) -> Option<String> {
    let (_, parent) = pom.split_once("<parent>")?;
    let (_, version) = parent.split_once("<version>")?;
    Some(version.split('<').next()?.to_owned())
}

/// The first thing in a text that looks like a version: digits with dots between.
pub(crate) fn first_version(text: &str) -> Option<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_digit() || letter == '.'));
    let mut versions = words.map(|word| word.trim_matches('.'));
    versions.find(|word| word.contains('.')).map(str::to_owned)
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn cores(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("processor")).count()
}

fn memory_gib(text: &str) -> f64 {
    let kibibytes = field(text, "MemTotal").unwrap_or_default();
    let kibibytes: f64 = kibibytes.trim_end_matches("kB").trim().parse().unwrap_or_default();
    (kibibytes / 1024.0 / 1024.0 * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_lock_files() {
        let lock = "[[package]]\nname = \"axum\"\nversion = \"0.8.9\"\nsource = \"x\"\n";
        assert_eq!(of_cargo(lock, "axum").as_deref(), Some("0.8.9"));
        assert_eq!(of_cargo(lock, "axu"), None);
        let lock = r#"{"packages":{"node_modules/express":{"version":"5.3.0"}}}"#;
        assert_eq!(of_npm(lock, "express").as_deref(), Some("5.3.0"));
        let pom = "<version>1</version><parent><version>4.1.2</version></parent>";
        assert_eq!(of_parent(pom).as_deref(), Some("4.1.2"));
    }

    #[test]
    fn programs_say_their_version_in_different_ways() {
        for (text, version) in [
            ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012", "4.1.0"),
            ("Redis server v=7.0.15 sha=00000000:0", "7.0.15"),
            ("openjdk version \"17.0.15\" 2025-04-15", "17.0.15"),
            ("v20.20.2\n", "20.20.2"),
        ] {
            assert_eq!(first_version(text).as_deref(), Some(version));
        }
    }

    #[test]
    fn cores_and_memory_are_read() {
        assert_eq!(cores("processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\n"), 2);
        assert_eq!(memory_gib("MemTotal:       25165824 kB\nMemFree: 1 kB\n"), 24.0);
    }
}
