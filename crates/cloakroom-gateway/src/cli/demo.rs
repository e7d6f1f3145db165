//! The arguments of `cloakroom demo`.

use std::path::PathBuf;

use clap::Args;

/// Shows one session on two nodes, in your browser.
///
/// Starts a small shop twice, as two processes that share nothing but the store of their sessions.
/// Sign in at one, go on at the other; kill one, and the other knows you still.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where sessions are kept: memory:, sqlite://PATH or redis://HOST.
    ///
    /// Without it, in an SQLite file in the directory of `--dir`, which survives a restart. With
    /// `memory:` both nodes run in one process. A password in a redis:// address is never printed;
    /// to keep it out of the list of processes too, name the address in CLOAKROOM_STORE.
    #[arg(long, value_name = "URL", env = "CLOAKROOM_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The directory of the SQLite file; made where it is missing.
    #[arg(long, value_name = "DIR", default_value = "cloakroom-demo", conflicts_with = "store")]
    pub(crate) dir: PathBuf,
    /// The port of node A, on 127.0.0.1.
    #[arg(long, value_name = "PORT", default_value_t = 3001, value_parser = a_port())]
    pub(crate) port_a: u16,
    /// The port of node B, on 127.0.0.1.
    #[arg(long, value_name = "PORT", default_value_t = 3002, value_parser = a_port())]
    pub(crate) port_b: u16,
}

fn a_port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}
