//! `cloakroom users`: what an administrator does with users at a terminal.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use cloakroom::Sessions;

use super::UsersUrl;
use super::users::{Account, Missing, Name, Password, Users, is_in_memory, roles};
use crate::cli::{DEFAULT_DIR, UsersArgs, UsersCommand, load};
use crate::config::{DEFAULT_FILE, DEFAULT_STORE};
use crate::fault::{Fault, chain};
use crate::terminal::{agrees, complain, read_hidden, say};

/// Does what the command line asks for.
pub(crate) async fn run(args: UsersArgs) -> Result<(), Fault> {
    let UsersArgs { config, users, store, command } = args;
    let databases = Databases::of(config, users, store)?;
    let has_file = databases.by_file;
    let done = run_in(databases, command).await;
    done.map_err(|fault| if has_file { fault } else { fault.without_file() })
}

async fn run_in(databases: Databases, command: UsersCommand) -> Result<(), Fault> {
    let Databases { users, store, by_file } = databases;
    if is_in_memory(&users.0) {
        return Err(Fault::usage("users in memory would be gone when this command ends")
            .hint("name a database with --users, such as sqlite://users.db"));
    }
    let missing = match command {
        UsersCommand::Add { .. } => Missing::Make,
        _ => Missing::Refuse,
    };
    let users = Users::open_or(&users, missing).await?;
    if let Some(made) = users.made() {
        complain(&format!("Made {made}, which was not there."));
    }
    // Before anything is changed: else a user would be changed, and go on as before.
    let sessions = match (&command, store) {
        (UsersCommand::Add { .. } | UsersCommand::Enable { .. } | UsersCommand::List, _) => None,
        // A gateway that has not run yet has no sessions; what somebody names has to be there, or
        // a slip would make another.
        (_, Some(store)) if is_missing(&store) && by_file => None,
        (_, Some(store)) if is_missing(&store) => {
            return Err(Fault::new(format!("there is no store of sessions {store}"))
                .hint("--store, or CLOAKROOM_STORE, names it"));
        }
        (_, Some(store)) => Some(open(&store).await?),
        (_, None) => None,
    };
    carry_out(&users, sessions.as_ref(), command).await
}

/// Carries a command out. `sessions`: where those of a changed user are ended.
pub(crate) async fn carry_out(
    users: &Users,
    sessions: Option<&Sessions>,
    command: UsersCommand,
) -> Result<(), Fault> {
    match command {
        UsersCommand::Add { name, roles: given, generate } => {
            let (name, given) = (named(&name)?, checked(given)?);
            let password = password(generate)?;
            if !users.add(&name, password.clone(), &given).await? {
                return Err(Fault::new(format!("there is a user {name} already"))
                    .hint("`cloakroom users passwd` gives them another password"));
            }
            show(generate, &password);
            say(&format!("{name} can sign in."));
            Ok(())
        }
        UsersCommand::Passwd { name, generate } => {
            let name = named(&name)?;
            let password = password(generate)?;
            there_was(users.set_password(&name, password.clone()).await?, &name)?;
            show(generate, &password);
            say(&format!("{name} has another password."));
            end_sessions(sessions, &name).await
        }
        UsersCommand::Disable { name } => {
            let name = named(&name)?;
            there_was(users.set_disabled(&name, true).await?, &name)?;
            say(&format!("{name} cannot sign in any more."));
            end_sessions(sessions, &name).await
        }
        UsersCommand::Remove { name, yes } => {
            let name = named(&name)?;
            if !yes && !is_meant(&name)? {
                say("Nothing is changed.");
                return Ok(());
            }
            there_was(users.remove(&name).await?, &name)?;
            say(&format!("{name} is removed."));
            end_sessions(sessions, &name).await
        }
        UsersCommand::Enable { name } => {
            let name = named(&name)?;
            there_was(users.set_disabled(&name, false).await?, &name)?;
            say(&format!("{name} can sign in."));
            Ok(())
        }
        UsersCommand::Roles { name, roles: given } => {
            let (name, given) = (named(&name)?, checked(given)?);
            there_was(users.set_roles(&name, &given).await?, &name)?;
            say(&format!("{name} has these roles: {}.", in_words(&given)));
            end_sessions(sessions, &name).await
        }
        UsersCommand::List => {
            users.list().await?.iter().for_each(|account| say(&line(account)));
            Ok(())
        }
    }
}

/// Where users and sessions are.
struct Databases {
    users: UsersUrl,
    store: Option<String>,
    /// Whether a configuration names them.
    by_file: bool,
}

impl Databases {
    /// As the command line names them; else as the configuration here does; else those of a gateway
    /// that runs here without one.
    fn of(
        config: Option<PathBuf>,
        users: Option<String>,
        store: Option<String>,
    ) -> Result<Self, Fault> {
        let here = || Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists());
        let unnamed = users.is_none() && store.is_none();
        if let Some(file) = config.or_else(|| here().filter(|_| unnamed)) {
            let config = load(&file)?.config;
            let shared = !config.store.is_memory();
            let store = shared.then(|| config.store.reveal().to_owned());
            return Ok(Self { users: config.login.users, store, by_file: true });
        }
        let url = users.or_else(|| store.clone().filter(|store| is_sql(store)));
        let without_file = || {
            let file = Path::new(DEFAULT_DIR).join(DEFAULT_STORE);
            let path = file.exists().then(|| file.to_str().map(str::to_owned)).flatten()?;
            Some(format!("sqlite://{path}"))
        };
        if let Some(url) = url {
            return Ok(Self { users: UsersUrl(url), store, by_file: false });
        }
        let url = without_file().filter(|_| unnamed).ok_or_else(|| {
            Fault::usage("no database of users is named").hint(
                "run this where cloakroom.toml or cloakroom-data is, or name one with --config \
                     FILE or --users URL",
            )
        })?;
        Ok(Self { users: UsersUrl(url.clone()), store: Some(url), by_file: false })
    }
}

/// Whether a store is an SQLite file that is not there.
fn is_missing(store: &str) -> bool {
    let file = store.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    file.is_some_and(|file| !Path::new(file).exists())
}

async fn open(store: &str) -> Result<Sessions, Fault> {
    let store = cloakroom::connect(store).await;
    let store = store
        .map_err(|error| Fault::new(format!("the store cannot be used: {}", chain(&error))))?;
    cloakroom::sessions(store).build().map_err(|error| Fault::new(error.to_string()))
}

async fn end_sessions(sessions: Option<&Sessions>, name: &Name) -> Result<(), Fault> {
    let Some(sessions) = sessions else {
        complain(
            "No store of sessions is named, or there: those that are open stay open until they expire.",
        );
        return Ok(());
    };
    let ended = sessions.end_all(name.as_str(), None).await.map_err(|error| {
        Fault::new(format!(
            "the user is changed, but sessions could not be ended: {}",
            chain(&error)
        ))
        .hint("run the command again")
    })?;
    say(&format!("Sessions ended: {ended}."));
    Ok(())
}

/// Whether somebody at the terminal means to remove a user.
fn is_meant(name: &Name) -> Result<bool, Fault> {
    if !io::stdin().is_terminal() {
        return Err(Fault::usage(format!("nobody is here to be asked whether {name} is to go"))
            .hint("say --yes"));
    }
    let unread = |error| Fault::new(format!("no answer can be read: {error}"));
    agrees(&format!("Remove the user {name} and end their sessions?")).map_err(unread)
}

/// A new password: made, typed twice, or piped in.
fn password(generate: bool) -> Result<Password, Fault> {
    if generate {
        return Ok(Password::generate());
    }
    let read = |prompt| read_hidden(prompt).map(Password::new).map_err(unread);
    let password = read("Password: ")?;
    password.check()?;
    if io::stdin().is_terminal() && read("Once more: ")?.reveal() != password.reveal() {
        return Err(Fault::usage("the two are not the same"));
    }
    Ok(password)
}

fn unread(error: io::Error) -> Fault {
    Fault::new(format!("no password can be read: {error}"))
}

fn show(generated: bool, password: &Password) {
    if generated {
        say(&format!("Password, shown this once: {}", password.reveal()));
    }
}

fn named(text: &str) -> Result<Name, Fault> {
    Name::parse(text).map_err(|error| Fault::usage(error.to_string()))
}

fn checked(given: Vec<String>) -> Result<Vec<String>, Fault> {
    roles(given).map_err(|error| Fault::usage(error.to_string()))
}

fn there_was(one: bool, name: &Name) -> Result<(), Fault> {
    match one {
        true => Ok(()),
        false => {
            Err(Fault::new(format!("there is no user {name}"))
                .hint("`cloakroom users list` shows all"))
        }
    }
}

fn in_words(roles: &[String]) -> String {
    if roles.is_empty() { "none".to_owned() } else { roles.join(", ") }
}

fn line(account: &Account) -> String {
    let disabled = if account.disabled { "  disabled" } else { "" };
    format!("{}  roles: {}{disabled}", account.name, in_words(&account.roles))
}

fn is_sql(url: &str) -> bool {
    ["sqlite:", "postgres:", "postgresql:", "mysql:", "mariadb:"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}
