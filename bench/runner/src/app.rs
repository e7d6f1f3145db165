//! Which apps are compared, and in which cases.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::process::{Core, pinned};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Case {
    /// There are no sessions at all.
    None,
    /// There is a session layer, and the handler does not ask for the session.
    Unused,
    /// Reads one attribute of a stored session of about 500 bytes.
    Read,
    /// Writes one attribute of that session.
    Write,
    /// Signs in, without a session before.
    Login,
    /// Increments one attribute of one session, over many connections at once.
    Contended,
}

impl Case {
    /// Every case, in the order of the report.
    pub(crate) const ALL: [Self; 6] =
        [Self::None, Self::Unused, Self::Read, Self::Write, Self::Login, Self::Contended];

    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unused => "unused",
            Self::Read => "read",
            Self::Write => "write",
            Self::Login => "login",
            Self::Contended => "contended",
        }
    }

    /// What is asked for.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::None => "/none",
            Self::Unused => "/unused",
            Self::Read => "/read",
            Self::Write => "/write",
            Self::Login => "/login",
            Self::Contended => "/contended",
        }
    }

    /// Whether requests come with a session's cookie.
    pub(crate) fn has_cookie(self) -> bool {
        !matches!(self, Self::None | Self::Login)
    }
}

/// How an app is built and started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A package of this workspace.
    Rust(&'static str),
    /// Express, run by node.
    Node,
    /// Spring Boot, built by Maven.
    Java,
}

/// An app that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct App {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// How it is built and started.
    pub(crate) kind: Kind,
    /// Whether it is told to cache, where it can.
    cache: Option<bool>,
    /// The library's name in the lock file.
    pub(crate) library: &'static str,
}

/// The app that every cost is compared with.
pub(crate) const BASE: &str = "axum";
/// The peer that speed and memory are compared with.
pub(crate) const PEER: &str = "tower-sessions";

/// Every app, in the order of the report.
pub(crate) const APPS: [App; 10] = [
    App::rust(BASE, "bench-axum", None, "axum"),
    App::rust("cloakroom", "bench-cloakroom", Some(true), "cloakroom"),
    App::rust("cloakroom-uncached", "bench-cloakroom", Some(false), "cloakroom"),
    App::rust(PEER, "bench-tower-sessions", Some(false), "tower-sessions"),
    App::rust(
        "tower-sessions-moka",
        "bench-tower-sessions",
        Some(true),
        "tower-sessions-moka-store",
    ),
    App::rust("actix-session", "bench-actix-session", None, "actix-session"),
    App::rust("axum-session", "bench-axum-session", Some(true), "axum_session"),
    App::rust("axum-session-uncached", "bench-axum-session", Some(false), "axum_session"),
    App { name: "express-session", kind: Kind::Node, cache: None, library: "express-session" },
    App { name: "spring-session", kind: Kind::Java, cache: None, library: "spring-boot" },
];

impl App {
    const fn rust(
        name: &'static str,
        package: &'static str,
        cache: Option<bool>,
        library: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Rust(package), cache, library }
    }

    /// Finds an app by its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        APPS.into_iter().find(|app| app.name == name)
    }

    /// Whether it takes part: only the app without sessions is asked for none, and only for that.
    pub(crate) fn takes(&self, case: Case) -> bool {
        (self.name == BASE) == (case == Case::None)
    }

    /// Whether memory per cached session is measured.
    pub(crate) fn caches(&self) -> bool {
        self.cache == Some(true)
    }

    /// What starts it, on the core of the server.
    pub(crate) fn command(&self, places: &Places, port: u16, redis: &str) -> Command {
        let mut command = match self.kind {
            Kind::Rust(package) => {
                pinned(Core::Server, places.target.join("release").join(package))
            }
            Kind::Node => pinned(Core::Server, "node"),
            Kind::Java => pinned(Core::Server, "java"),
        };
        match self.kind {
            Kind::Rust(_) => {}
            Kind::Node => {
                command.env("NODE_ENV", "production").arg(places.express().join("app.js"));
            }
            Kind::Java => {
                command.arg("-jar").arg(places.spring_jar());
            }
        }
        command.args(["--port", &port.to_string(), "--redis", redis]);
        if let Some(cache) = self.cache {
            command.args(["--cache", if cache { "on" } else { "off" }]);
        }
        command
    }
}

/// Where sources lie and what is built goes.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The folder of this workspace.
    pub(crate) bench: PathBuf,
    /// What is built, of every language.
    pub(crate) target: PathBuf,
}

impl Places {
    /// The places of the workspace that this program was built in.
    pub(crate) fn here() -> Self {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let bench = bench.canonicalize().unwrap_or(bench);
        Self { target: bench.join("target"), bench }
    }

    /// Where the Express app is run: a copy, so that its modules do not lie among the sources.
    pub(crate) fn express(&self) -> PathBuf {
        self.target.join("express")
    }

    /// What Maven builds.
    pub(crate) fn spring_jar(&self) -> PathBuf {
        self.target.join("spring").join("bench-spring.jar")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_app_without_sessions_is_asked_for_none() {
        for app in APPS {
            assert_eq!(app.takes(Case::None), app.name == BASE, "{}", app.name);
            assert_eq!(app.takes(Case::Read), app.name != BASE, "{}", app.name);
        }
    }

    #[test]
    fn apps_are_found_by_name() {
        assert_eq!(App::named(PEER).map(|app| app.name), Some(PEER));
        assert_eq!(App::named("unheard-of"), None);
    }
}
