//! The table of users, in SQLite, PostgreSQL, MySQL or MariaDB.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, AnyQueryResult, AnyRow};
use sqlx::{AnyPool, AssertSqlSafe, Row};

use super::{Account, Name};
use crate::fault::{Fault, chain};
use crate::login::random::random;

/// Connections of a node to the users: one is used for a few milliseconds a login.
const CONNECTIONS: u32 = 4;
/// How long a login waits for a connection.
const IN_TIME: Duration = Duration::from_secs(3);

const CREATE: &str = "CREATE TABLE IF NOT EXISTS cloakroom_users (
    name VARCHAR(128) NOT NULL PRIMARY KEY,
    password VARCHAR(255) NOT NULL,
    roles TEXT NOT NULL,
    disabled BIGINT NOT NULL,
    edition BIGINT NOT NULL
)";
/// Every other collation takes some different names for the same.
const CREATE_MYSQL: &str = "CREATE TABLE IF NOT EXISTS cloakroom_users (
    name VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY,
    password VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    roles TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    disabled BIGINT NOT NULL,
    edition BIGINT NOT NULL
) ENGINE = InnoDB";
const COLUMNS: &str = "SELECT name, password, roles, disabled, edition FROM cloakroom_users";

/// The users' database.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pool: AnyPool,
    kind: Kind,
    /// What of it had to be made.
    pub(super) made: Option<String>,
}

/// What becomes of a database that is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    /// It is made.
    Make,
    /// That is an error: its name may be a wrong one.
    Refuse,
}

/// Which SQL it speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Sqlite,
    Postgres,
    MySql,
}

type Asked<T> = Result<T, sqlx::Error>;

impl Table {
    /// Opens the database, and where it or its table is not there, does as `missing` says.
    pub(super) async fn open(url: &str, missing: Missing) -> Result<Self, Fault> {
        sqlx::any::install_default_drivers();
        let Address { kind, url, memory, file } = read(url)?;
        let made = file.map(|file| find(file, missing)).transpose()?.flatten();
        let made = made.map(|file| format!("the file {}", file.display()));
        let mut options =
            AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(IN_TIME);
        if memory {
            // Each connection would have a memory of its own, and take it along when it is closed.
            options = options.max_connections(1).idle_timeout(None).max_lifetime(None);
        }
        let pool = options.connect(&url).await.map_err(|error| out_of_reach(&error))?;
        let table = Self { pool, kind, made };
        let Err(error) = table.is_empty().await else {
            return Ok(table);
        };
        if missing == Missing::Refuse {
            return Err(Fault::new(format!("there is no table of users: {}", chain(&error)))
                .hint("`cloakroom users add NAME` makes it, if this is the right database"));
        }
        let create = if kind == Kind::MySql { CREATE_MYSQL } else { CREATE };
        if table.run(create, &[]).await.is_err() {
            // Another node may have made it at the same moment, which PostgreSQL takes for an error.
            table.run(create, &[]).await.map_err(|error| out_of_reach(&error))?;
        }
        let made = table.made.or_else(|| Some("the table cloakroom_users".to_owned()));
        Ok(Self { made, ..table })
    }

    /// A statement with `?` in the places of its values, as this database writes it.
    fn statement(&self, text: &str) -> AssertSqlSafe<String> {
        if self.kind != Kind::Postgres {
            return AssertSqlSafe(text.to_owned());
        }
        let mut numbered = String::with_capacity(text.len() + 16);
        for (number, part) in text.split('?').enumerate() {
            if number > 0 {
                numbered.push('$');
                numbered.push_str(&number.to_string());
            }
            numbered.push_str(part);
        }
        AssertSqlSafe(numbered)
    }

    async fn run(&self, text: &str, values: &[Value<'_>]) -> Asked<AnyQueryResult> {
        let mut query = sqlx::query(self.statement(text));
        for value in values {
            query = match *value {
                Value::Text(text) => query.bind(text.to_owned()),
                Value::Number(number) => query.bind(number),
            };
        }
        query.execute(&self.pool).await
    }

    pub(super) async fn find(&self, name: &str) -> Asked<Option<Account>> {
        let text = format!("{COLUMNS} WHERE name = ?");
        let query = sqlx::query(self.statement(&text)).bind(name.to_owned());
        query.fetch_optional(&self.pool).await?.as_ref().map(account).transpose()
    }

    pub(super) async fn all(&self) -> Asked<Vec<Account>> {
        let query = sqlx::query(self.statement(&format!("{COLUMNS} ORDER BY name")));
        query.fetch_all(&self.pool).await?.iter().map(account).collect()
    }

    /// Whether there is any user at all.
    pub(super) async fn is_empty(&self) -> Asked<bool> {
        let query = sqlx::query(self.statement("SELECT name FROM cloakroom_users LIMIT 1"));
        Ok(query.fetch_optional(&self.pool).await?.is_none())
    }

    /// Adds a user; `false` where the name is taken.
    pub(super) async fn add(&self, name: &Name, hash: &str, roles: &[String]) -> Asked<bool> {
        let roles = roles.join(" ");
        let text = "INSERT INTO cloakroom_users (name, password, roles, disabled, edition) \
                    VALUES (?, ?, ?, 0, ?)";
        // Not that of a user of the same name who was removed a moment ago.
        let edition = Value::Number(u32::from_be_bytes(random()).into());
        let values = [Value::Text(name.as_str()), Value::Text(hash), Value::Text(&roles), edition];
        match self.run(text, &values).await {
            Ok(_) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes a column of a user; `false` where there is none. Whoever signs in at this moment
    /// notices by the edition.
    pub(super) async fn set(&self, name: &Name, column: Column<'_>) -> Asked<bool> {
        let (text, value) = match column {
            Column::Password(hash) => ("password", Value::Text(hash)),
            Column::Roles(roles) => ("roles", Value::Text(roles)),
            Column::Disabled(disabled) => ("disabled", Value::Number(disabled.into())),
        };
        let text =
            format!("UPDATE cloakroom_users SET {text} = ?, edition = edition + 1 WHERE name = ?");
        let done = self.run(&text, &[value, Value::Text(name.as_str())]).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Removes a user; `false` where there is none.
    pub(super) async fn remove(&self, name: &Name) -> Asked<bool> {
        let text = "DELETE FROM cloakroom_users WHERE name = ?";
        Ok(self.run(text, &[Value::Text(name.as_str())]).await?.rows_affected() > 0)
    }

    /// Keeps a better hash of the same password, unless the user was changed meanwhile.
    pub(super) async fn improve(&self, account: &Account, hash: &str) -> Asked<()> {
        let text = "UPDATE cloakroom_users SET password = ? WHERE name = ? AND edition = ?";
        let name = Value::Text(&account.name);
        self.run(text, &[Value::Text(hash), name, Value::Number(account.edition)]).await.map(drop)
    }
}

/// What a statement is given.
#[derive(Clone, Copy)]
enum Value<'a> {
    Text(&'a str),
    Number(i64),
}

/// What of a user is changed, and to what.
#[derive(Clone, Copy)]
pub(super) enum Column<'a> {
    Password(&'a str),
    Roles(&'a str),
    Disabled(bool),
}

fn account(row: &AnyRow) -> Asked<Account> {
    let roles: String = row.try_get(2)?;
    Ok(Account {
        name: row.try_get(0)?,
        hash: row.try_get::<String, _>(1)?.into(),
        roles: roles.split_ascii_whitespace().map(str::to_owned).collect(),
        disabled: row.try_get::<i64, _>(3)? != 0,
        edition: row.try_get(4)?,
    })
}

/// Where a database is.
struct Address {
    kind: Kind,
    /// As the driver takes it.
    url: String,
    /// Whether it is in memory.
    memory: bool,
    /// Its file, where it is one.
    file: Option<PathBuf>,
}

/// Whether an URL names memory, which nobody but its process sees, and not for longer than that lives.
pub(crate) fn is_in_memory(url: &str) -> bool {
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    scheme.eq_ignore_ascii_case("memory") || rest.ends_with(":memory:")
}

/// The database that an URL names. Nothing of one that is not understood is repeated: it may hold a
/// password.
fn read(url: &str) -> Result<Address, Fault> {
    let server = |kind| Address { kind, url: url.to_owned(), memory: false, file: None };
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    match &*scheme.to_ascii_lowercase() {
        "memory" => {
            let url = "sqlite::memory:".to_owned();
            Ok(Address { kind: Kind::Sqlite, url, memory: true, file: None })
        }
        "sqlite" => sqlite(rest),
        "postgres" | "postgresql" => Ok(server(Kind::Postgres)),
        "mysql" | "mariadb" => Ok(server(Kind::MySql)),
        _ => Err(Fault::usage(
            "the users' database begins with none of sqlite:, postgres:, mysql: and mariadb:",
        )
        .hint("users are kept in SQL; where sessions are not, name another database for them")),
    }
}

/// An SQLite file's address.
fn sqlite(rest: &str) -> Result<Address, Fault> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.contains(['?', '#', '\0']) {
        return Err(Fault::usage("expected sqlite://path, without ? and #"));
    }
    let file = std::path::absolute(path).map_err(|error| broken(&error))?;
    let text = file.to_str().ok_or_else(|| Fault::usage("the path is not valid Unicode"))?;
    let url = format!("sqlite://{}?mode=rw", text.replace('%', "%25"));
    Ok(Address { kind: Kind::Sqlite, url, memory: false, file: Some(file) })
}

fn broken(error: &std::io::Error) -> Fault {
    Fault::new(format!("the file of the users cannot be used: {error}"))
}

/// Sees to it that an SQLite file is there. Returns it where it had to be made.
fn find(file: PathBuf, missing: Missing) -> Result<Option<PathBuf>, Fault> {
    if missing == Missing::Refuse && !file.exists() {
        return Err(Fault::new(format!("there is no users' database {}", file.display()))
            .hint("`cloakroom users add NAME` makes it, if that is its right name"));
    }
    let made = make(&file).map_err(|error| broken(&error))?;
    Ok(made.then_some(file))
}

/// Makes a file for its owner's eyes only, where it is missing; whether it was.
fn make(path: &Path) -> std::io::Result<bool> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(true),
        // One that is there is not opened here: closing it would drop SQLite's locks on it.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn out_of_reach(error: &sqlx::Error) -> Fault {
    // What the driver says of an URL may repeat a part of it.
    let said = match error {
        sqlx::Error::Configuration(_) => "its address cannot be read".to_owned(),
        // All that is said of a server that is not there.
        sqlx::Error::PoolTimedOut => "it does not answer".to_owned(),
        other => chain(other),
    };
    Fault::new(format!("the users' database cannot be used: {said}"))
        .hint("[login] users names it, or else [store] url; see that it is there and lets you in")
        .hint_without_file(
            "see that it is there and lets you in: --dir, --users or --store names it",
        )
}
