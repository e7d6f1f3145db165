//! What a file's words mean. Everything that is wrong in it is found, not only the first.

mod edge;
mod login;
mod rule;
mod session;
mod upstream;

use toml::de::DeTable;

use super::section::Section;
use super::source::Source;
use super::surroundings::Surroundings;
use super::trouble::{Bad, BadConfig, Notes};
use super::{Config, Loaded, words};
use crate::access::Folding;

pub(super) use login::with_users as login_with;
pub(crate) use upstream::plain as plain_upstream;
pub(super) use upstream::{is_own, server};

/// More threads than a machine has use for.
const MOST_WORKERS: u64 = 1024;

/// Reads a file's text.
pub(super) fn read(source: Source, around: Surroundings<'_>) -> Result<Loaded, BadConfig> {
    let notes = Notes::default();
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    for error in errors {
        let span = error.span().unwrap_or(source.text.len()..source.text.len());
        notes.error(&span, Bad::new(format!("this is not TOML: {}", error.message())));
    }
    // What is left of a file that cannot be parsed says nothing for certain.
    let config = match notes.fine() {
        true => whole(Section::of_file(&document, &notes), &source, around),
        false => None,
    };
    match config {
        Some(config) if notes.fine() => {
            let warnings = notes.warnings(&source);
            Ok(Loaded { config, warnings, source })
        }
        _ => Err(notes.bad_config(&source)),
    }
}

fn whole(file: Section<'_>, source: &Source, around: Surroundings<'_>) -> Option<Config> {
    let workers = file.get("workers", words::number(1, MOST_WORKERS));
    let trusted = file.list("trusted_proxies", words::network);
    let hosts = file.list("hosts", words::host);
    let folding = file.table("paths").map(folding).unwrap_or_default();
    let store = session::store(file.table("store"), &file, around);
    let (policy, cookie) = session::session(file.table("session"));
    let plain = edge::Plain { meant: cookie.insecure_plain_http, trusts: !trusted.is_empty() };
    let listen = edge::listen(file.tables("listen", true), plain, around);
    let limits = file.table("limits").map(edge::limits).unwrap_or_default();
    let forward_auth = file.table("forward_auth");
    let forward_auth = forward_auth.map(|section| edge::forward_auth(section, plain));
    let forward_auth = forward_auth.unwrap_or_default();
    let upstreams = upstream::Reader { listen: &listen, around };
    let upstreams = upstreams.read(file.tables("upstream", false));
    let rules = rule::Reader { folding, upstreams: &upstreams, alone: forward_auth.is_empty() };
    let rules = rules.read(&file, source);
    let login = login::login(file.table("login"), &file, store.as_ref(), around);
    let identity = login::identity(file.table("identity"), around);
    file.close();
    let (store, sweep_every) = store?;
    Some(Config {
        store,
        policy,
        cookie,
        listen,
        workers,
        limits,
        trusted_proxies: trusted.into_iter().map(|at| at.value).collect(),
        hosts: hosts.into_iter().map(|at| at.value).collect(),
        folding,
        rules,
        upstreams: upstreams.into_iter().map(|at| at.value).collect(),
        login: login?,
        identity,
        forward_auth,
        sweep_every,
    })
}

fn folding(paths: Section<'_>) -> Folding {
    let fold = paths.get("fold_case", words::switch).unwrap_or_default();
    paths.close();
    if fold { Folding::Fold } else { Folding::Exact }
}
