//! The arguments of `cloakroom demo`.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

/// Shows one session on two nodes, in your browser.
///
/// Starts a small shop twice, as two processes that share nothing but the store of their sessions,
/// and the gateway in front of them: one address. Sign in there and kill the node that answers, by
/// its button or as roughly as you like: the page goes on at the other, with the same session.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where sessions are kept: memory:, sqlite://PATH, redis://HOST, postgres://HOST/DATABASE, ...
    ///
    /// Without it, in an SQLite file in the directory of `--dir`, which survives a restart. With
    /// `memory:` both nodes run in one process, and can be killed all the same. A password in an address is never printed; to keep
    /// it out of the list of processes too, name the address in CLOAKROOM_STORE.
    ///
    /// Others are mysql://HOST/DATABASE, mariadb://HOST/DATABASE, mongodb://HOST/DATABASE,
    /// nats://HOST/BUCKET and hazelcast://HOST/CLUSTER.
    ///
    /// Redis behind Sentinel is redis+sentinel://HOST,HOST?master=NAME, a Redis Cluster is
    /// redis+cluster://HOST,HOST. By TLS: rediss in the place of redis, with ?ca=/path/ca.pem for an
    /// authority of your own.
    #[arg(long, value_name = "URL", env = "CLOAKROOM_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The directory of the SQLite file; made where it is missing.
    #[arg(long, value_name = "DIR", default_value = "cloakroom-demo")]
    pub(crate) dir: PathBuf,
    /// The port of the gateway, the one address to open, on 127.0.0.1.
    #[arg(long, value_name = "PORT", default_value_t = 3000, value_parser = a_port())]
    pub(crate) port: u16,
    /// The port of node A, on 127.0.0.1.
    #[arg(long, value_name = "PORT", default_value_t = 3001, value_parser = a_port())]
    pub(crate) port_a: u16,
    /// The port of node B, on 127.0.0.1.
    #[arg(long, value_name = "PORT", default_value_t = 3002, value_parser = a_port())]
    pub(crate) port_b: u16,
}

/// What of the arguments cannot be together; in the words of what was typed, as a store may also be
/// named by the environment.
pub(super) fn contradiction(demo: &ArgMatches) -> Option<&'static str> {
    if demo.value_source("dir") != Some(ValueSource::CommandLine) {
        return None;
    }
    match demo.value_source("store") {
        Some(ValueSource::CommandLine) => {
            Some("the argument '--dir <DIR>' cannot be used with '--store <URL>'")
        }
        Some(ValueSource::EnvVariable) => Some(
            "the argument '--dir <DIR>' cannot be used while the environment variable \
             CLOAKROOM_STORE names a store",
        ),
        _ => None,
    }
}

fn a_port() -> clap::builder::RangedI64ValueParser<u16> {
    clap::value_parser!(u16).range(1..)
}
