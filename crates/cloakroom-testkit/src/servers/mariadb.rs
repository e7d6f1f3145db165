//! A real MariaDB server: what differs from MySQL.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use super::mysql::{Brand, Plan, finish};
use super::server::Server;
use super::user::{Account, give};

/// The user that its package has made for it.
const USER: &str = "mysql";

/// A MariaDB server on 127.0.0.1 with a directory of its own, which every commit is written to.
pub type MariaDb = Server<Plan<Mariadbd>>;

/// The brand that is MariaDB.
#[derive(Clone, Debug)]
pub enum Mariadbd {}

impl Brand for Mariadbd {
    const NAME: &'static str = "mariadbd";
    const SCHEME: &'static str = "mariadb";

    fn initialise(directory: &Path, data: &Path) {
        give(directory, USER);
        let mut command = Command::new("mariadb-install-db");
        command
            .args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--tmpdir={}", directory.display()))
            .args(["--innodb-fast-shutdown=0", "--skip-name-resolve"]);
        Account::of(USER).take(&mut command);
        finish(&mut command);
    }

    fn command() -> Command {
        let mut command = Command::new(Self::NAME);
        command.args(["--no-defaults", "--innodb-log-file-size=16M"]);
        Account::of(USER).take(&mut command);
        command
    }

    fn shared() -> &'static Mutex<Option<Server<Plan<Self>>>> {
        static SHARED: Mutex<Option<MariaDb>> = Mutex::new(None);
        &SHARED
    }
}
