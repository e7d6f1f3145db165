//! The arguments of `cloakroom users`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Adds, changes, removes and lists the users who sign in with a password.
///
/// A password is typed twice at the terminal, or is the first line of what is piped in. A new
/// password, other roles and a user's disabling or removal end all of that user's sessions.
#[derive(Debug, Args)]
pub(crate) struct UsersArgs {
    /// The gateway's configuration, which names both databases. Counts before the other two.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The users' database: sqlite://PATH, postgres://HOST/DATABASE or mysql://HOST/DATABASE.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CLOAKROOM_USERS",
        hide_env_values = true
    )]
    pub(crate) users: Option<String>,
    /// The sessions' store, so that sessions can be ended.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CLOAKROOM_STORE",
        hide_env_values = true
    )]
    pub(crate) store: Option<String>,
    #[command(subcommand)]
    pub(crate) command: UsersCommand,
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Adds a user.
    Add {
        /// The user's name; capital letters of ASCII become small ones.
        name: String,
        /// A role of the user's; may be given several times.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Makes a password and shows it, once.
        #[arg(long)]
        generate: bool,
    },
    /// Gives a user another password, and ends their sessions.
    Passwd {
        /// The user's name.
        name: String,
        /// Makes a password and shows it, once.
        #[arg(long)]
        generate: bool,
    },
    /// Keeps a user from signing in, and ends their sessions.
    Disable {
        /// The user's name.
        name: String,
    },
    /// Lets a user sign in again.
    Enable {
        /// The user's name.
        name: String,
    },
    /// Removes a user, and ends their sessions. Asks before, at a terminal.
    Remove {
        /// The user's name.
        name: String,
        /// Asks nobody.
        #[arg(long)]
        yes: bool,
    },
    /// Gives a user these roles and no others, and ends their sessions.
    Roles {
        /// The user's name.
        name: String,
        /// The roles; none takes all away.
        roles: Vec<String>,
    },
    /// Lists all users.
    List,
}
