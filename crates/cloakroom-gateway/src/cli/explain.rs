//! `cloakroom explain`: says which rule decides on a request, and why.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use http::{Method, Uri};

use super::check::{access, aligned, balance, load, matched, server};
use crate::access::{Asked, Mismatch, Path, Verdict};
use crate::config::{Config, DEFAULT_FILE};
use crate::fault::Fault;
use crate::gate::OWN;
use crate::terminal;
use crate::visitor::{User, Visitor};

/// Says which rule decides on a request, and why.
///
/// Nothing is sent and no session is asked for: who asks is whom you name.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The request's method, such as GET.
    #[arg(value_name = "METHOD", value_parser = method)]
    method: Method,
    /// Its address, as a client may write it: https://HOST/PATH, or just the path.
    #[arg(value_name = "URL")]
    url: String,
    /// Who is signed in; without it nobody.
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// A role of theirs; may be repeated.
    #[arg(long = "role", value_name = "ROLE", requires = "user")]
    roles: Vec<String>,
    /// The client's address.
    #[arg(long = "from", value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

impl ExplainArgs {
    /// Explains the request.
    pub(crate) fn run(self) -> Result<(), Fault> {
        let config = load(&self.config)?.config;
        let rows = self.explain(&config)?;
        aligned(&rows)
            .iter()
            .for_each(|line| terminal::say(line.strip_prefix("  ").unwrap_or(line)));
        Ok(())
    }

    /// What is to be said, as a label and a text each.
    fn explain(&self, config: &Config) -> Result<Vec<[String; 2]>, Fault> {
        let mut said = Said(Vec::new());
        said.row("request", format!("{} {}", self.method, self.url));
        let (host, raw) = self.target()?;
        if !config.hosts.is_empty() && !host.is_empty() && !config.hosts.contains(&host) {
            said.row("host", format!("{host} is not one of `hosts`"));
            said.row("verdict", "refused: 421");
            return Ok(said.0);
        }
        let path = match Path::parse(&raw, config.folding) {
            Ok(path) => path,
            Err(error) => {
                said.row("path", raw);
                said.row("verdict", format!("refused before any rule is asked, 400: {error}"));
                return Ok(said.0);
            }
        };
        said.row("path", path.as_str());
        if path.as_str() != raw {
            said.row("", format!("which is what {raw} means, and what is forwarded"));
        }
        if path.as_str().starts_with(OWN) {
            said.row("verdict", "a page of the gateway's own, to which no rule applies");
            return Ok(said.0);
        }
        let method = &self.method;
        let asked = Asked { method, host: &host, path: &path, address: self.address };
        self.decide(config, &asked, &mut said);
        Ok(said.0)
    }

    fn decide(&self, config: &Config, asked: &Asked<'_>, said: &mut Said) {
        for rule in config.rules.iter() {
            let place = format!("line {}: {}", rule.line, matched(rule));
            if let Some(mismatch) = rule.mismatch(asked) {
                said.row("passed over", format!("{place}, as {}", why(mismatch)));
                continue;
            }
            said.row("decides", format!("{place}, access {}", access(rule)));
            let verdict = rule.judge(asked, &self.visitor());
            said.row("verdict", self.verdict(&verdict));
            if let Verdict::Permit(_) = verdict {
                said.row("goes to", target(config, rule.upstream.as_deref()));
            }
            return;
        }
        said.row("decides", "no rule matches");
        said.row("verdict", "denied, 403: what no rule matches may not pass");
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        let user = self.user.as_deref().unwrap_or_default();
        match verdict {
            Verdict::Permit(permit) if permit.rule().asks_who() => {
                format!("may pass, as {user} is signed in")
            }
            Verdict::Permit(_) => "may pass, whoever asks".to_owned(),
            Verdict::SignIn => {
                "has to sign in first: the login page for browsers, 401 for others".to_owned()
            }
            Verdict::RoleMissing if self.roles.is_empty() => {
                format!("refused, 403: {user} has no role; name some with --role")
            }
            Verdict::RoleMissing => {
                format!("refused, 403: {user} has only {}", self.roles.join(", "))
            }
            Verdict::WrongAddress => match self.address {
                Some(address) => format!("refused, 403: {address} is not in `allow_from`"),
                None => "refused, 403: no address is named with --from".to_owned(),
            },
            Verdict::Denied => "denied, 403".to_owned(),
        }
    }

    fn visitor(&self) -> Visitor {
        let user = self.user.as_ref().map(|id| User {
            id: id.clone(),
            roles: self.roles.clone(),
            session: None,
            authenticated_at: None,
        });
        Visitor { user, anonymous: None }
    }

    /// The host and the path, as they are written; neither query nor fragment ever matters.
    fn target(&self) -> Result<(String, String), Fault> {
        let end = self.url.find(['?', '#']).unwrap_or(self.url.len());
        let (url, _) = self.url.split_at(end);
        if url.starts_with('/') {
            return Ok((String::new(), url.to_owned()));
        }
        let bad = || Fault::usage("this is no address").hint("write https://HOST/PATH, or /PATH");
        let (scheme, rest) = url.split_once("://").ok_or_else(bad)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let uri: Uri = format!("{scheme}://{authority}/").parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?.to_ascii_lowercase();
        let path = if path.is_empty() { "/" } else { path };
        Ok((host, path.to_owned()))
    }
}

/// A method as people type it: in capitals, which is how clients send them.
fn method(text: &str) -> Result<Method, http::method::InvalidMethod> {
    Method::from_bytes(text.to_ascii_uppercase().as_bytes())
}

/// Rows to say.
struct Said(Vec<[String; 2]>);

impl Said {
    fn row(&mut self, label: &str, text: impl Into<String>) {
        self.0.push([label.to_owned(), text.into()]);
    }
}

fn why(mismatch: Mismatch) -> &'static str {
    match mismatch {
        Mismatch::Path => "the path is another",
        Mismatch::Method => "the method is another",
        Mismatch::Host => "the host is another",
    }
}

fn target(config: &Config, name: Option<&str>) -> String {
    let found = config.upstreams.iter().find(|upstream| Some(&*upstream.name) == name);
    let Some(upstream) = found else {
        return "where the proxy that asks sends it".to_owned();
    };
    let servers: Vec<String> = upstream.servers.iter().map(server).collect();
    let choice = match balance(upstream).as_str() {
        "" => String::new(),
        choice => format!(" ({choice})"),
    };
    format!("{}: {}{choice}", upstream.name, servers.join(", "))
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches};

    use super::*;

    const TEXT: &str = r#"
[[upstream]]
name = "shop"
servers = ["http://127.0.0.1:8001"]
[[rule]]
path = "/sku/**"
access = "deny"
[[rule]]
path = "/admin/**"
hosts = ["shop.example"]
access = "role:admin"
[[rule]]
path = "/order/**"
access = "login"
allow_from = "10.0.0.0/8"
"#;

    fn explained(line: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(DEFAULT_FILE);
        std::fs::write(&file, TEXT).unwrap();
        let command = ExplainArgs::augment_args(Command::new("explain"));
        let words = std::iter::once("explain").chain(line.split(' '));
        let args = ExplainArgs::from_arg_matches(&command.get_matches_from(words)).unwrap();
        let rows = args.explain(&load(&file).unwrap().config).unwrap();
        aligned(&rows).join("\n")
    }

    #[test]
    fn an_explanation_says_the_path_the_rules_and_where_it_goes() {
        let line = "GET https://shop.example/a/../admin/x?y=/sku --as ada --role admin";
        let expected = "  request      GET https://shop.example/a/../admin/x?y=/sku
  path         /admin/x
               which is what /a/../admin/x means, and what is forwarded
  passed over  line 5: /sku/**, as the path is another
  decides      line 8: shop.example/admin/**, access role admin
  verdict      may pass, as ada is signed in
  goes to      shop: http://127.0.0.1:8001";
        assert_eq!(explained(line), expected);
    }

    #[test]
    fn each_verdict_is_told() {
        for (line, expected) in [
            ("get /%73ku", "denied, 403"),
            ("GET /sku%2Fx", "refused before any rule is asked, 400: the path has an encoded"),
            ("GET /admin", "as the host is another"),
            ("GET /admin", "denied, 403: what no rule matches may not pass"),
            ("GET http://shop.example/admin", "has to sign in first"),
            ("GET http://SHOP.example:80/admin --as ada", "ada has no role"),
            ("GET http://shop.example/admin --as ada --role x", "ada has only x"),
            ("GET /order", "no address is named with --from"),
            ("GET /order --from 11.0.0.1", "11.0.0.1 is not in `allow_from`"),
            ("GET /order --from 10.0.0.1 --as ada", "may pass, as ada is signed in"),
            ("GET /.cloakroom/me", "a page of the gateway's own"),
        ] {
            let explained = explained(line);
            assert!(explained.contains(expected), "{line}\n{explained}");
        }
    }
}
