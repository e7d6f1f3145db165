//! The arguments of `cloakroom run`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Where a gateway without a file keeps what it keeps.
pub(crate) const DEFAULT_DIR: &str = "cloakroom-data";

/// Serves: sessions, logins and rules in front of your services.
///
/// Reads cloakroom.toml, which `cloakroom init` writes and `cloakroom check` checks. A changed file is
/// taken up while it runs. Without a file, --upstream is enough: everything then asks for a login, and
/// sessions and users are in an SQLite file in the directory of --dir. The first start makes a user
/// `admin` and shows the password once; `cloakroom users passwd admin` sets another.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration. Without it, cloakroom.toml in this directory.
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["upstream", "listen", "dir"])]
    pub(crate) config: Option<PathBuf>,
    /// The service to stand in front of, in the place of a file.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// Where to listen, without a file.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", requires = "upstream")]
    pub(crate) listen: SocketAddr,
    /// The directory of the SQLite file and the keys, without a file; made where it is missing.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR, requires = "upstream")]
    pub(crate) dir: PathBuf,
}
