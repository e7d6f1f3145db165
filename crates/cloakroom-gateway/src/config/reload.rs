//! Takes up a file that has changed, if it is good; else the configuration before stays in force.

use std::future::pending;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{BadConfig, Config, Loaded, meant, text};
use crate::blocking;
use crate::terminal;

/// How often is looked whether the file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the time doubles after which a change that was refused is tried again: up to half a
/// minute.
const MOST_DOUBLINGS: u32 = 5;

/// Watches a configuration's file.
pub(crate) struct Reload {
    path: PathBuf,
    seen: Option<Stamp>,
    /// What the file said when it was read last.
    text: Option<Arc<str>>,
    /// The last change, where it could not be taken up for a reason that may pass without another:
    /// a file that it names is not there yet, a database does not answer.
    refused: Option<Refused>,
    start: Start,
    look: Interval,
    hangup: Option<Signal>,
}

/// What changes about a file when it is written, or when another is put in its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    modified: (i64, i64),
    changed: (i64, i64),
    length: u64,
    file: (u64, u64),
}

/// A change that could not be taken up.
#[derive(Debug)]
struct Refused {
    why: String,
    /// How often it was tried.
    tries: u32,
    /// How many looks pass before it is tried again.
    rest: u32,
}

/// The parts of a configuration that are taken up at the start only.
#[derive(Debug)]
struct Start(Config);

impl Reload {
    /// Watches the file at `path`, as it was loaded, from now on. Has to be called in a runtime.
    pub(crate) fn of(path: &Path, loaded: &Loaded) -> io::Result<Self> {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            path: path.to_owned(),
            // So that a change between the loading and now is found at the first look.
            seen: None,
            text: Some(loaded.source.text.as_str().into()),
            refused: None,
            start: Start(loaded.config.clone()),
            look,
            hangup: Some(signal(SignalKind::hangup())?),
        })
    }

    /// Completes with the next configuration that can be taken up. What is wrong with one that
    /// cannot is said, once; it is tried again until it can, less and less often. No change is lost
    /// where the future is dropped.
    pub(crate) async fn next(&mut self) -> Config {
        loop {
            let asked = tokio::select! {
                _ = self.look.tick() => false,
                () = hung_up(&mut self.hangup) => true,
            };
            if let Some(config) = self.look_again(asked).await {
                return config;
            }
        }
    }

    /// The configuration that came last is in force.
    pub(crate) fn taken(&mut self) {
        self.refused = None;
        let path = self.path.display();
        terminal::complain(&format!("{path}: the changed configuration is in force"));
    }

    /// The configuration that came last cannot be used after all; it comes again, after more looks
    /// each time. Says why, where that was not the reason before.
    pub(crate) fn refuse(&mut self, why: &str) {
        let before = self.refused.take();
        let tries = before.as_ref().map_or(0, |before| before.tries) + 1;
        if before.is_none_or(|before| before.why != why) {
            let path = self.path.display();
            terminal::complain(&format!(
                "{path} has changed and cannot be used; the configuration before stays in force: {why}"
            ));
        }
        let rest = (1 << (tries - 1).min(MOST_DOUBLINGS)) - 1;
        self.refused = Some(Refused { why: why.to_owned(), tries, rest });
    }

    /// Whether it is time to try again what was refused. Counts the looks that pass.
    fn tries_again(&mut self) -> bool {
        let Some(refused) = &mut self.refused else {
            return false;
        };
        let rests = refused.rest > 0;
        refused.rest = refused.rest.saturating_sub(1);
        !rests
    }

    /// The file's configuration, if it has changed, or if somebody `asked`, and if it is good.
    async fn look_again(&mut self, asked: bool) -> Option<Config> {
        let tries = asked || self.tries_again();
        let (path, seen, text) = (self.path.clone(), self.seen, self.text.clone());
        let Found { stamp, text, read } =
            match blocking::away(move || Found::look(&path, seen, text, tries)).await {
                Ok(found) => found?,
                Err(fault) => {
                    tracing::error!(%fault, "the look at the configuration is taken again");
                    return None;
                }
            };
        self.seen = stamp;
        let changed = asked || text.is_some();
        self.text = text.or(self.text.take());
        if changed {
            // Somebody is at work on it, and hears of this change what they heard of the last.
            self.refused = None;
        }
        match read? {
            Ok(Loaded { config, warnings, .. }) => {
                if changed {
                    warnings.iter().for_each(|warning| terminal::complain(&format!("{warning}\n")));
                }
                self.unless_restarting(config)
            }
            Err(bad) => {
                self.refuse(&format!("\n{bad}"));
                None
            }
        }
    }

    /// The configuration, unless it differs in what is taken up at the start only.
    fn unless_restarting(&mut self, config: Config) -> Option<Config> {
        let parts = self.start.changed(&config);
        if parts.is_empty() {
            return Some(config);
        }
        // No time makes this good.
        self.refused = None;
        terminal::complain(&format!(
            "{} has changed in what is taken up at the start only: {}. All of it stays as it was; \
             restart cloakroom to take it up",
            self.path.display(),
            parts.join(", "),
        ));
        None
    }
}

/// Completes when a hangup is heard.
async fn hung_up(hangup: &mut Option<Signal>) {
    let heard = match hangup {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if heard.is_none() {
        pending::<()>().await;
    }
}

/// What a look at the file has found.
struct Found {
    stamp: Option<Stamp>,
    /// What it says, where that is news.
    text: Option<Arc<str>>,
    /// What that means, where somebody wants to know.
    read: Option<Result<Loaded, BadConfig>>,
}

impl Found {
    /// Looks at the file, unless it is as it was `seen`. `again`: reads it in any case.
    fn look(
        path: &Path,
        seen: Option<Stamp>,
        before: Option<Arc<str>>,
        again: bool,
    ) -> Option<Self> {
        let stamp = Stamp::of(path);
        if stamp == seen && !again {
            return None;
        }
        let text = match text(path) {
            Ok(text) => text,
            Err(bad) => return Some(Self { stamp, text: None, read: Some(Err(bad)) }),
        };
        let news = before.as_deref() != Some(&*text);
        let written = news.then(|| Arc::from(&*text));
        let read = (news || again).then(|| meant(path, text));
        Some(Self { stamp, text: written, read })
    }
}

impl Stamp {
    /// The stamp of a file; `None` where there is none.
    fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self {
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            length: metadata.len(),
            file: (metadata.dev(), metadata.ino()),
        })
    }
}

/// The file's text may hold passwords.
impl std::fmt::Debug for Reload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reload({})", self.path.display())
    }
}

impl Start {
    /// What of it a new configuration has otherwise, as the file calls it.
    fn changed(&self, new: &Config) -> Vec<&'static str> {
        let old = &self.0;
        let parts = [
            ("[store]", old.store != new.store || old.sweep_every != new.sweep_every),
            ("[session]", old.policy != new.policy),
            ("[session.cookie]", old.cookie != new.cookie),
            ("[[listen]]", old.listen != new.listen),
            ("workers", old.workers != new.workers),
            ("[limits]", old.limits != new.limits),
            ("users in [login]", old.login.users != new.login.users),
            ("keys in [identity]", old.identity.keys != new.identity.keys),
        ];
        parts.into_iter().filter(|(_, changed)| *changed).map(|(part, _)| part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "[[upstream]]\nname = \"a\"\nservers = [\"http://127.0.0.1:1\"]\n\
                         [[rule]]\npath = \"/**\"\naccess = \"login\"\n";

    async fn watched(folder: &Path) -> Reload {
        let path = folder.join("cloakroom.toml");
        fs::write(&path, FIRST).unwrap();
        let mut watch = Reload::of(&path, &Config::load(&path).unwrap()).unwrap();
        assert!(watch.look_again(false).await.is_none(), "it is as it was loaded");
        watch
    }

    fn rewrite(watch: &Reload, text: &str) {
        let new = watch.path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &watch.path).unwrap();
    }

    #[tokio::test]
    async fn a_change_is_taken_up_once_and_a_bad_one_never() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = watched(folder.path()).await;
        assert!(watch.look_again(false).await.is_none(), "nothing has changed");
        rewrite(&watch, &FIRST.replace("login", "deny"));
        let config = watch.look_again(false).await.unwrap();
        assert_eq!(config.rules.iter().next().unwrap().access, crate::access::Access::Deny);
        assert!(watch.look_again(false).await.is_none(), "it is taken up already");
        assert!(watch.look_again(true).await.is_some(), "somebody asked for it");
        rewrite(&watch, &FIRST.replace("login", "logn"));
        assert!(watch.look_again(false).await.is_none());
        fs::remove_file(&watch.path).unwrap();
        assert!(watch.look_again(false).await.is_none(), "it is away");
        rewrite(&watch, FIRST);
        assert!(watch.look_again(false).await.is_some(), "it is back, and good");
    }

    #[tokio::test]
    async fn what_is_missing_for_a_moment_is_looked_for_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = watched(folder.path()).await;
        rewrite(&watch, &format!("[login]\nlogo = \"later.svg\"\n{FIRST}"));
        assert!(watch.look_again(false).await.is_none(), "the file that it names is away");
        fs::write(folder.path().join("later.svg"), "<svg xmlns=\"http://www.w3.org/2000/svg\"/>")
            .unwrap();
        assert!(watch.look_again(false).await.is_some(), "it has come");
        watch.refuse("a database does not answer");
        assert!(watch.look_again(true).await.is_some(), "it is tried until it is taken");
        watch.taken();
        assert!(watch.look_again(false).await.is_none());
    }

    #[tokio::test]
    async fn what_goes_on_failing_is_tried_less_and_less_often_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = watched(folder.path()).await;
        rewrite(&watch, &FIRST.replace("login", "deny"));
        let mut tried = Vec::new();
        for look in 0..100 {
            if watch.look_again(false).await.is_some() {
                watch.refuse("a database does not answer");
                tried.push(look);
            }
        }
        assert_eq!(tried, [0, 1, 3, 7, 15, 31, 63, 95]);
        rewrite(&watch, &FIRST.replace("login", "public"));
        assert!(watch.look_again(false).await.is_some(), "a change is tried at once");
        watch.refuse("a database does not answer");
        assert!(watch.look_again(false).await.is_some(), "and soon again");
    }

    #[tokio::test]
    async fn the_next_configuration_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = watched(folder.path()).await;
        rewrite(&watch, &FIRST.replace("\"a\"", "\"b\""));
        assert_eq!(&*watch.next().await.upstreams[0].name, "b");
    }

    #[tokio::test]
    async fn what_is_taken_up_at_the_start_only_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = watched(folder.path()).await;
        for (part, text) in [
            ("[store]", "[store]\nurl = \"memory:\"\n"),
            ("[store]", "[store]\nurl = \"sqlite://sessions.db\"\nsweep = \"5s\"\n"),
            ("[session]", "[session]\nidle = \"5m\"\n"),
            ("[session.cookie]", "[session.cookie]\nname = \"x\"\n"),
            ("[session.cookie]", "[session]\ntoken_header = \"x-token\"\n"),
            ("[[listen]]", "[listen]\naddress = \"127.0.0.1:9\"\n"),
            ("workers", "workers = 3\n"),
            ("[limits]", "[limits]\nhead = \"3s\"\n"),
            ("users in [login]", "[login]\nusers = \"sqlite://other.db\"\n"),
            ("keys in [identity]", "[identity]\nkeys = \"others\"\n"),
        ] {
            rewrite(&watch, &format!("{text}{FIRST}"));
            let new = Config::load(&watch.path).unwrap().config;
            assert!(watch.start.changed(&new).contains(&part), "{text}");
            assert!(watch.look_again(false).await.is_none(), "{text}");
        }
        rewrite(&watch, &format!("[login]\nbind = \"exact\"\n{FIRST}"));
        assert!(watch.look_again(false).await.is_some());
    }
}
