//! The stores: how each is started, reached, measured and killed.

use std::io;
use std::process::Command;
use std::sync::Arc;

use cloakroom::{MemoryStore, Store};
use cloakroom_testkit::servers::{Hazelcast, MariaDb, Mongo, Nats, NatsCluster, Postgres, Redis};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine::first_version;

/// Every store, in the order of the report.
pub(crate) const NAMES: [&str; 10] = [
    "memory",
    "SQLite",
    "Redis",
    "Valkey",
    "PostgreSQL",
    "MariaDB",
    "MongoDB",
    "NATS R1",
    "NATS R3",
    "Hazelcast",
];

/// The database, bucket or map that the sessions are in.
const NAME: &str = "cloakroom";

/// A store, and what keeps it alive.
pub(crate) enum Place {
    Memory,
    Sqlite(TempDir),
    /// A Redis or Valkey. `None` only while it is started again.
    Redis(Option<Redis>),
    Postgres(Option<Postgres>),
    MariaDb(Option<MariaDb>),
    Mongo(Option<Mongo>),
    Nats(Option<Nats>),
    NatsCluster(Option<NatsCluster>, usize),
    Hazelcast(Option<Hazelcast>, String),
}

impl Place {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// Where there is none of that name. Where its program is missing, this panics and says which.
    pub(crate) async fn start(name: &str) -> io::Result<Self> {
        Ok(match name {
            "memory" => Self::Memory,
            "SQLite" => Self::Sqlite(tempfile::tempdir()?),
            "Redis" => Self::Redis(Some(Redis::start().await)),
            "Valkey" => Self::Redis(Some(Redis::start_valkey().await)),
            "PostgreSQL" => Self::Postgres(Some(Postgres::start().await)),
            "MariaDB" => Self::MariaDb(Some(MariaDb::start().await)),
            "MongoDB" => Self::Mongo(Some(Mongo::start().await)),
            "NATS R1" => Self::Nats(Some(Nats::start().await)),
            "NATS R3" => Self::NatsCluster(Some(NatsCluster::start().await), 0),
            "Hazelcast" => {
                let members = Hazelcast::start(2).await;
                let map = members.new_map();
                Self::Hazelcast(Some(members), map)
            }
            name => return Err(io::Error::other(format!("there is no store `{name}`"))),
        })
    }

    /// Its URL; `None` for memory, which is another each time.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::Memory => None,
            Self::Sqlite(folder) => {
                Some(format!("sqlite://{}", folder.path().join("sessions.db").display()))
            }
            Self::Redis(server) => Some(server.as_ref()?.url()),
            Self::Postgres(server) => Some(server.as_ref()?.url()),
            Self::MariaDb(server) => Some(server.as_ref()?.url()),
            Self::Mongo(server) => Some(server.as_ref()?.url()),
            Self::Nats(server) => Some(format!("{}/{NAME}", server.as_ref()?.url())),
            Self::NatsCluster(servers, _) => {
                Some(format!("{}/{NAME}?replicas=3", servers.as_ref()?.url()))
            }
            Self::Hazelcast(members, map) => Some(members.as_ref()?.url(map)),
        }
    }

    /// The store in memory.
    ///
    /// # Errors
    ///
    /// Never: a store with a URL is a new one in memory here.
    pub(crate) fn store(&self) -> io::Result<Arc<dyn Store>> {
        Ok(Arc::new(MemoryStore::new()))
    }

    /// How many bytes it holds, where it can tell.
    ///
    /// # Errors
    ///
    /// Where it does not tell though it can.
    pub(crate) async fn size(&self) -> io::Result<Option<u64>> {
        const TABLES: &str = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class \
            WHERE relkind = 'r' AND relname LIKE 'cloakroom%'";
        const MARIA: &str = "SELECT sum(file_size) FROM \
            information_schema.innodb_sys_tablespaces WHERE name LIKE '%cloakroom%'";
        let text = match self {
            // SQLite's file holds little before its log is moved into it.
            Self::Memory | Self::Sqlite(_) | Self::Mongo(_) | Self::Hazelcast(..) => {
                return Ok(None);
            }
            Self::Redis(server) => server.as_ref().map(used_memory),
            Self::Postgres(server) => server.as_ref().map(|server| server.run(TABLES)),
            Self::MariaDb(server) => server.as_ref().map(|server| server.run(MARIA)),
            Self::Nats(server) => server.as_ref().map(stream_bytes),
            Self::NatsCluster(servers, _) => {
                servers.as_ref().map(|servers| stream_bytes(servers.node(0)))
            }
        };
        let text = text.ok_or_else(|| io::Error::other("the server is not there"))?;
        let last = text.split_whitespace().last().unwrap_or_default();
        last.parse().map(Some).map_err(|_| io::Error::other(format!("no size: {text}")))
    }

    /// Whether its server can be killed and started again.
    pub(crate) fn can_die(&self) -> bool {
        !matches!(self, Self::Memory | Self::Sqlite(_))
    }

    /// Kills the server at once: of several, the one that leads.
    pub(crate) fn kill(&mut self) {
        match self {
            Self::Memory | Self::Sqlite(_) => {}
            Self::Redis(server) => server.iter_mut().for_each(Redis::kill),
            Self::Postgres(server) => server.iter_mut().for_each(Postgres::kill),
            Self::MariaDb(server) => server.iter_mut().for_each(MariaDb::kill),
            Self::Mongo(server) => server.iter_mut().for_each(Mongo::kill),
            Self::Nats(server) => server.iter_mut().for_each(Nats::kill),
            Self::NatsCluster(servers, killed) => {
                if let Some(servers) = servers {
                    *killed = servers.leader(&format!("KV_{NAME}"));
                    servers.kill(*killed);
                }
            }
            Self::Hazelcast(members, _) => {
                if let Some(members) = members {
                    members.kill(0);
                }
            }
        }
    }

    /// Starts again what was killed.
    pub(crate) async fn restart(&mut self) {
        match self {
            Self::Memory | Self::Sqlite(_) => {}
            Self::Redis(slot) => {
                if let Some(server) = slot.take() {
                    *slot = Some(server.restart().await);
                }
            }
            Self::Postgres(slot) => {
                if let Some(server) = slot.take() {
                    *slot = Some(server.restart().await);
                }
            }
            Self::MariaDb(slot) => {
                if let Some(server) = slot.take() {
                    *slot = Some(server.restart().await);
                }
            }
            Self::Mongo(slot) => {
                if let Some(server) = slot.take() {
                    *slot = Some(server.restart().await);
                }
            }
            Self::Nats(slot) => {
                if let Some(server) = slot.take() {
                    *slot = Some(server.restart().await);
                }
            }
            Self::NatsCluster(slot, killed) => {
                if let Some(servers) = slot.take() {
                    *slot = Some(servers.restart(*killed).await);
                }
            }
            Self::Hazelcast(slot, _) => {
                if let Some(members) = slot.take() {
                    *slot = Some(members.restart(0).await);
                }
            }
        }
    }

    /// The server's version; empty where there is no server.
    pub(crate) fn version(&self) -> String {
        let said = match self {
            Self::Memory | Self::Sqlite(_) => return String::new(),
            Self::Redis(server) => server.as_ref().map(|server| {
                let info = server.command(&["INFO", "server"]);
                let of = |name: &str| line(&info, name).map(str::to_owned);
                of("valkey_version").or_else(|| of("redis_version")).unwrap_or_default()
            }),
            Self::Postgres(server) => {
                server.as_ref().map(|server| server.run("SHOW server_version"))
            }
            Self::MariaDb(server) => server.as_ref().map(|server| server.run("SELECT version()")),
            Self::Mongo(_) => Some("as SecantusDB".to_owned()),
            Self::Nats(_) | Self::NatsCluster(..) => Some(of_program("nats-server")),
            Self::Hazelcast(..) => Some("5".to_owned()),
        };
        let said = said.unwrap_or_default();
        first_version(&said).unwrap_or(said)
    }
}

fn used_memory(server: &Redis) -> String {
    let info = server.command(&["INFO", "memory"]);
    line(&info, "used_memory").unwrap_or_default().to_owned()
}

/// What stands behind `name:` in the lines of an INFO.
fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| *found == name).map(|(_, value)| value.trim())
}

fn stream_bytes(server: &Nats) -> String {
    let info: Value = server.ask(&format!("STREAM.INFO.KV_{NAME}"), &json!({}));
    info["state"]["bytes"].as_u64().unwrap_or_default().to_string()
}

fn of_program(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_info_is_found_by_its_whole_name() {
        let info = "# Memory\r\nused_memory_rss:9\r\nused_memory:7\r\n";
        assert_eq!((line(info, "used_memory"), line(info, "memory")), (Some("7"), None));
    }
}
