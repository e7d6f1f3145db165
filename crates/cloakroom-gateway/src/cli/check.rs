//! `cloakroom check`: says whether a configuration is fine, and what it comes to.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::access::{Access, Rule};
use crate::config::{BadConfig, Config, DEFAULT_FILE, Loaded};
use crate::fault::Fault;
use crate::proxy::{Balance, Scheme, ServerSettings, UpstreamSettings};
use crate::terminal;

/// Says whether a configuration is fine, or shows each error in its place.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The file to check.
    #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
    file: PathBuf,
}

impl CheckArgs {
    /// Checks the file.
    pub(crate) fn run(self) -> Result<(), Fault> {
        let Loaded { config, warnings, .. } = load(&self.file)?;
        for warning in &warnings {
            terminal::complain(&format!("{warning}\n"));
        }
        let but = match warnings.len() {
            0 => String::new(),
            1 => ", with a warning".to_owned(),
            count => format!(", with {count} warnings"),
        };
        terminal::say(&format!("{} is fine{but}.", self.file.display()));
        summary(&config).iter().for_each(|line| terminal::say(line));
        Ok(())
    }
}

/// Loads a configuration for a command. Its errors are shown, and the fault says how many there are.
pub(crate) fn load(file: &Path) -> Result<Loaded, Fault> {
    Config::load(file).map_err(|bad| fault(file, &bad))
}

fn fault(file: &Path, bad: &BadConfig) -> Fault {
    if bad.errors == 0 {
        return Fault::new(bad.to_string());
    }
    terminal::complain(&format!("{bad}\n"));
    let count = match bad.errors {
        1 => "an error".to_owned(),
        errors => format!("{errors} errors"),
    };
    Fault::new(format!("{} has {count}", file.display()))
}

/// What a configuration comes to, in lines.
fn summary(config: &Config) -> Vec<String> {
    let addresses = config.listen.iter().map(|listen| match listen.tls {
        Some(_) => format!("https://{}", listen.address),
        None => format!("http://{}", listen.address),
    });
    let facts = [
        ["listens at".to_owned(), addresses.collect::<Vec<_>>().join(", ")],
        ["keeps sessions in".to_owned(), config.store.to_string()],
    ];
    let mut lines = vec![String::new()];
    lines.extend(aligned(&facts));
    lines.extend([String::new(), "Rules, the first that matches decides:".to_owned()]);
    let mut rules: Vec<[String; 4]> = config.rules.iter().map(|rule| row(rule)).collect();
    rules.push(["".into(), "anything else".into(), "deny".into(), String::new()]);
    lines.extend(aligned(&rules));
    if !config.upstreams.is_empty() {
        lines.extend([String::new(), "Upstreams:".to_owned()]);
        let upstreams: Vec<[String; 3]> = config.upstreams.iter().map(upstream).collect();
        lines.extend(aligned(&upstreams));
    }
    lines
}

fn row(rule: &Rule) -> [String; 4] {
    let target = rule.upstream.iter().filter(|_| rule.access != Access::Deny);
    let target = target.map(|upstream| format!("to {upstream}")).collect();
    [format!("line {}", rule.line), matched(rule), access(rule), target]
}

/// What a rule matches.
pub(super) fn matched(rule: &Rule) -> String {
    let methods: Vec<&str> = rule.methods.iter().map(http::Method::as_str).collect();
    let hosts: Vec<String> = rule.hosts.iter().map(ToString::to_string).collect();
    let parts = [methods.join("|"), format!("{}{}", hosts.join("|"), rule.path.as_str())];
    parts.join(" ").trim_start().to_owned()
}

/// Whom a rule lets pass.
pub(super) fn access(rule: &Rule) -> String {
    let access = match &rule.access {
        Access::Deny => return "deny".to_owned(),
        Access::Public => "public".to_owned(),
        Access::Login => "login".to_owned(),
        Access::AnyRole(roles) => format!("role {}", roles.join(" or ")),
    };
    let limited = if rule.allow_from.is_empty() { "" } else { ", from some addresses" };
    format!("{access}{limited}")
}

fn upstream(upstream: &UpstreamSettings) -> [String; 3] {
    let servers: Vec<String> = upstream.servers.iter().map(server).collect();
    [upstream.name.to_string(), servers.join(", "), balance(upstream)]
}

/// How a server is chosen, where there is a choice.
pub(super) fn balance(upstream: &UpstreamSettings) -> String {
    match &upstream.balance {
        _ if upstream.servers.len() < 2 => String::new(),
        Balance::RoundRobin => "each in its turn".to_owned(),
        Balance::LeastConnections => "the one with the fewest requests".to_owned(),
        Balance::Sticky => "the one of the session".to_owned(),
        Balance::Cookie(name) => format!("the one of the cookie {name}"),
    }
}

/// A server's URL.
pub(super) fn server(server: &ServerSettings) -> String {
    let scheme = match server.scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::H2c => "h2c",
    };
    format!("{scheme}://{}:{}", server.host, server.port)
}

/// Rows as lines, each column as wide as its widest cell.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("  {cell:width$}"));
        cells.collect::<String>().trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_lines_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(DEFAULT_FILE);
        let text = r#"
[store]
url = "redis://:hunter2@127.0.0.1:6379"
[[upstream]]
name = "shop"
servers = ["http://127.0.0.1:8001", "http://127.0.0.1:8002"]
balance = "least-connections"
[[rule]]
path = "/sku/**"
access = "deny"
[[rule]]
path = "/admin/**"
hosts = ["shop.example"]
methods = ["GET", "POST"]
allow_from = "10.0.0.0/8"
access = "role:admin"
[[rule]]
path = "/**"
access = "public"
"#;
        std::fs::write(&file, text).unwrap();
        let lines = summary(&load(&file).unwrap().config).join("\n");
        let expected = "
  listens at         http://127.0.0.1:8080
  keeps sessions in  Redis at 127.0.0.1:6379

Rules, the first that matches decides:
  line 8   /sku/**                         deny
  line 11  GET|POST shop.example/admin/**  role admin, from some addresses  to shop
  line 17  /**                             public                           to shop
           anything else                   deny

Upstreams:
  shop  http://127.0.0.1:8001, http://127.0.0.1:8002  the one with the fewest requests";
        assert_eq!(lines, expected);
    }
}
