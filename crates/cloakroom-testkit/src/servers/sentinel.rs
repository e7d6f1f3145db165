//! A Redis server with replicas, and sentinels that name another master where it dies.

use std::net::SocketAddr;

use super::process::{blocking, wait_until};
use super::redis::{Plan, Redis, Role, ask};

/// The name that the sentinels know the master by.
const NAME: &str = "mymaster";
/// How many of each there are.
const SERVERS: usize = 2;
const SENTINELS: usize = 3;

/// A master, a replica, and three sentinels, which find a dead master out in about a second.
#[derive(Debug)]
pub struct Sentinel {
    servers: Vec<Redis>,
    sentinels: Vec<Redis>,
}

impl Sentinel {
    /// Starts all of them, and returns when the sentinels could replace the master.
    pub async fn start() -> Self {
        blocking(Self::start_now).await
    }

    fn start_now() -> Self {
        let master = Redis::begin(&Plan { arguments: quick(&[]), ..Plan::default() });
        let port = master.addr().port().to_string();
        let replica =
            Plan { arguments: quick(&["--replicaof", "127.0.0.1", &port]), ..Plan::default() };
        let replicas = (1..SERVERS).map(|_| Redis::begin(&replica));
        let servers: Vec<Redis> = std::iter::once(master).chain(replicas).collect();
        for replica in &servers[1..] {
            wait_until("the replica follows", || {
                replica.command(&["INFO", "replication"]).contains("master_link_status:up")
            });
        }
        let role = Role::Sentinel(configuration(&port));
        let plan = Plan { role, ..Plan::default() };
        let sentinels: Vec<Redis> = (0..SENTINELS).map(|_| Redis::begin(&plan)).collect();
        for sentinel in &sentinels {
            wait_until("the sentinels know each other", || knows_all(sentinel));
        }
        Self { servers, sentinels }
    }

    /// The sentinels, as a client is told.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.sentinels.iter().map(|sentinel| sentinel.addr().to_string()).collect();
        format!("redis+sentinel://{}?master={NAME}", addresses.join(","))
    }

    /// The master, by what the sentinels say.
    pub fn master(&self) -> &Redis {
        let addr = master(self.sentinels[0].addr());
        self.servers.iter().find(|server| server.addr() == addr).expect("it is one of these")
    }

    /// The servers that are not the master.
    pub fn replicas(&self) -> impl Iterator<Item = &Redis> {
        let addr = self.master().addr();
        self.servers.iter().filter(move |server| server.addr() != addr)
    }

    /// The sentinels.
    pub fn sentinels(&mut self) -> &mut [Redis] {
        &mut self.sentinels
    }

    /// Has the sentinels make another server the master, and returns when it is.
    pub async fn failover(&self) {
        let (sentinel, old) = (self.sentinels[0].addr(), self.master().addr());
        let asked = blocking(move || {
            wait_until("a failover begins", || {
                ask(sentinel, None, &["SENTINEL", "FAILOVER", NAME]).is_ok()
            });
        });
        asked.await;
        self.replaced(old).await;
    }

    /// Kills the master at once, and returns where it was.
    pub fn kill_master(&mut self) -> SocketAddr {
        let addr = self.master().addr();
        self.servers.iter_mut().filter(|server| server.addr() == addr).for_each(Redis::kill);
        addr
    }

    /// Waits until all sentinels name another master than `old`, and it is one.
    pub async fn replaced(&self, old: SocketAddr) {
        let sentinels: Vec<SocketAddr> = self.sentinels.iter().map(Redis::addr).collect();
        blocking(move || {
            wait_until("another master", || {
                let addr = master(sentinels[0]);
                addr != old
                    && sentinels.iter().all(|sentinel| master(*sentinel) == addr)
                    && ask(addr, None, &["ROLE"]).is_ok_and(|role| role.starts_with("master"))
            });
        })
        .await;
    }

    /// Starts a server again that was killed; it becomes a replica of the new master.
    pub async fn restart(&mut self, addr: SocketAddr) {
        let at = self.servers.iter().position(|server| server.addr() == addr);
        let server = self.servers.remove(at.expect("it is one of these"));
        self.servers.push(server.restart().await);
    }
}

/// Arguments of servers that follow each other without waiting.
fn quick(more: &[&str]) -> Vec<String> {
    let always = ["--repl-diskless-sync-delay", "0", "--replica-priority", "100"];
    always.iter().chain(more).map(ToString::to_string).collect()
}

fn configuration(port: &str) -> String {
    format!(
        "sentinel monitor {NAME} 127.0.0.1 {port} 2\n\
         sentinel down-after-milliseconds {NAME} 700\n\
         sentinel failover-timeout {NAME} 3000\n"
    )
}

/// Whether a sentinel knows the replicas and the other sentinels.
fn knows_all(sentinel: &Redis) -> bool {
    let said = sentinel.command(&["SENTINEL", "MASTER", NAME]);
    let says = |name: &str, number: usize| {
        let mut lines = said.lines();
        lines.any(|line| line == name) && lines.next() == Some(&number.to_string())
    };
    says("num-slaves", SERVERS - 1) && says("num-other-sentinels", SENTINELS - 1)
}

/// The master that a sentinel names.
fn master(sentinel: SocketAddr) -> SocketAddr {
    let said = ask(sentinel, None, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]);
    let said = said.expect("a sentinel answers");
    let (host, port) = said.split_once('\n').expect("a host and a port");
    format!("{host}:{port}").parse().expect("an address")
}
