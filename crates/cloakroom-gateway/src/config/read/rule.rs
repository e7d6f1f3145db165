//! `[[rule]]`: who may have what.

use std::sync::Arc;

use http::Method;
use toml::de::DeValue;

use crate::access::{Access, Folding, Pattern, Rule, Rules};
use crate::config::section::{At, Section};
use crate::config::source::Source;
use crate::config::trouble::Bad;
use crate::config::words;
use crate::gate::OWN;
use crate::proxy::UpstreamSettings;

const ROLE: &str = "role:";
const WORDS: [(&str, Access); 3] =
    [("deny", Access::Deny), ("public", Access::Public), ("login", Access::Login)];

/// Reads rules.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) folding: Folding,
    pub(super) upstreams: &'a [At<UpstreamSettings>],
    /// Whether the gateway has to forward what it lets pass, as no proxy asks it for verdicts.
    pub(super) alone: bool,
}

impl Reader<'_> {
    /// All rules of a file.
    pub(super) fn read(&self, file: &Section<'_>, source: &Source) -> Rules {
        let sections = file.tables("rule", false);
        if sections.is_empty() {
            let bad = Bad::new("there is no rule, so nothing may pass");
            let help = "write `[[rule]]`, and below it `path = \"/**\"` and `access = \"login\"`";
            file.notes.error(&file.span, bad.help(help));
        }
        let (mut rules, mut places) = (Vec::new(), Vec::new());
        for section in sections {
            if let Some(At { span, value }) = self.rule(section, source) {
                places.push(span);
                rules.push(value);
            }
        }
        let rules = Rules::new(rules);
        for (later, earlier) in rules.shadowed() {
            let line = rules.iter().nth(earlier).map_or(0, |rule| rule.line);
            let bad = Bad::new("this rule never decides: an earlier one matches all that it does");
            let help = format!("move it before the rule on line {line}, or remove it");
            if let Some(span) = places.get(later) {
                file.notes.warning(span, bad.help(help));
            }
        }
        rules
    }

    fn rule(&self, section: Section<'_>, source: &Source) -> Option<At<Rule>> {
        let pattern = |value| pattern(words::text(value)?, self.folding);
        let path = section.required("path", "\"/**\"", pattern);
        let access = access(&section);
        let hosts = section.list("hosts", words::host_pattern);
        let methods = section.list("methods", method);
        let allow_from = section.list("allow_from", words::network);
        let anonymous_id = section.get("anonymous_id", words::switch).unwrap_or_default();
        let upstream = self.upstream(&section, access.as_ref());
        let line = source.place(section.span.start).line;
        section.close();
        let (path, access) = (path?, access?);
        let rule = Rule {
            line,
            path: path.value,
            hosts: values(hosts),
            methods: values(methods),
            access,
            allow_from: values(allow_from),
            upstream,
            anonymous_id,
        };
        Some(At { span: path.span, value: rule })
    }

    /// The upstream that is named; where there is just one, that.
    fn upstream(&self, section: &Section<'_>, access: Option<&Access>) -> Option<Arc<str>> {
        let named = section.at("upstream", words::text);
        let names = || self.upstreams.iter().map(|upstream| &*upstream.value.name);
        if let Some(At { span, value }) = named {
            let found = self.upstreams.iter().find(|upstream| &*upstream.value.name == value);
            if found.is_none() {
                let bad = Bad::new(format!("there is no upstream called {value:?}"));
                let help = match names().next() {
                    Some(_) => words::instead(value, names()),
                    None => "write `[[upstream]]` with this name and its servers".to_owned(),
                };
                section.notes.error(&span, bad.help(help));
            }
            return found.map(|upstream| Arc::clone(&upstream.value.name));
        }
        match self.upstreams {
            [only] => Some(Arc::clone(&only.value.name)),
            _ if access == Some(&Access::Deny) => None,
            [] if !self.alone => None,
            [] => {
                let bad = Bad::new("there is no upstream that what passes could go to");
                let help = "write `[[upstream]]` with `name = \"app\"` and \
                            `servers = [\"http://127.0.0.1:3000\"]`";
                section.notes.error(&section.span, bad.help(help));
                None
            }
            _ => {
                let bad = Bad::new("this rule does not say which upstream its requests go to");
                let names: Vec<&str> = names().collect();
                let help = format!("write `upstream = ...` with one of {}", names.join(", "));
                section.notes.error(&section.span, bad.help(help));
                None
            }
        }
    }
}

fn values<T>(list: Vec<At<T>>) -> Vec<T> {
    list.into_iter().map(|at| at.value).collect()
}

fn pattern(text: &str, folding: Folding) -> Result<Pattern, Bad> {
    if text.starts_with(OWN) {
        let why = "the gateway answers everything below `/.cloakroom/` itself, before any rule";
        return Err(Bad::new(why).help("remove this rule"));
    }
    Pattern::parse(text, folding).map_err(|error| Bad::new(error.why).help(error.instead))
}

/// `"deny"`, `"public"`, `"login"`, a role, or a list of roles.
fn access(section: &Section<'_>) -> Option<Access> {
    let several = matches!(section.get("access", |value| Ok(value.is_array())), Some(true));
    if !several {
        return Some(section.required("access", "\"login\"", one_access)?.value);
    }
    let written = section.values("access").len();
    let roles = values(section.list("access", role));
    if written == 0 {
        let bad = Bad::new("a list of no roles lets nobody pass").help("write \"deny\"");
        section.notes.error(&section.span, bad);
    }
    (roles.len() == written && written > 0).then_some(Access::AnyRole(roles))
}

fn one_access(value: &DeValue<'_>) -> Result<Access, Bad> {
    if words::text(value)?.starts_with(ROLE) {
        return role(value).map(|role| Access::AnyRole(vec![role]));
    }
    words::one_of(&WORDS)(value).map_err(|Bad { what, help }| {
        let help = help.map(|help| format!("{help}, or \"role:NAME\""));
        Bad { what, help }
    })
}

fn role(value: &DeValue<'_>) -> Result<String, Bad> {
    let role = words::text(value)?.strip_prefix(ROLE).map(str::trim).unwrap_or_default();
    match role {
        "" => Err(Bad::new("this names no role").help("write \"role:NAME\"")),
        role => Ok(role.to_owned()),
    }
}

fn method(value: &DeValue<'_>) -> Result<Method, Bad> {
    let text = words::text(value)?;
    let method = Method::from_bytes(text.as_bytes());
    let method = method.map_err(|_| Bad::new("this cannot be a method"))?;
    let upper = text.to_ascii_uppercase();
    match text == upper {
        true => Ok(method),
        false => Err(Bad::new("methods are told apart by case").help(format!("write {upper:?}"))),
    }
}
