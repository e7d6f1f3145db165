//! A Redis Cluster of three masters and three replicas.

use std::net::SocketAddr;

use super::process::{blocking, wait_until};
use super::redis::{Plan, Redis, Role, ask};

/// How many masters there are, each with one replica.
const MASTERS: usize = 3;
/// How many slots a cluster has.
const SLOTS: usize = 16384;

/// Three masters with a replica each, which takes a dead master's place after about two seconds.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Redis>,
}

/// A slot on its way from one master to another. Until it has arrived, the old one asks clients to
/// look for what it has not at the new one.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Move {
    slot: u16,
    from: SocketAddr,
    to: SocketAddr,
}

/// What a node says of another.
#[derive(Debug)]
struct Seen {
    is_self: bool,
    addr: SocketAddr,
    is_master: bool,
    is_well: bool,
    epoch: String,
    slots: Vec<(u16, u16)>,
}

impl Seen {
    fn is_master_of(&self, slot: u16) -> bool {
        self.is_master && self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }
}

impl Cluster {
    /// Starts a cluster, and returns when all of its nodes serve.
    pub async fn start() -> Self {
        blocking(|| {
            let plan = Plan { role: Role::Node, arguments: arguments(), ..Plan::default() };
            let nodes = (0..MASTERS * 2).map(|_| Redis::begin(&plan)).collect();
            let cluster = Self { nodes };
            cluster.join();
            cluster.replicate();
            are_whole(&cluster.living());
            cluster
        })
        .await
    }

    /// Gives every master its slots and makes the nodes known to each other.
    fn join(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
            if index < MASTERS {
                let first = (SLOTS * index / MASTERS).to_string();
                let last = (SLOTS * (index + 1) / MASTERS - 1).to_string();
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            }
        }
        let port = |addr: SocketAddr| addr.port().to_string();
        for node in &self.nodes[1..] {
            let (client, bus) = (port(node.addr()), port(node.second_addr()));
            self.nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &client, &bus]);
        }
        for node in &self.nodes {
            wait_until("the nodes know each other", || {
                let seen = seen_by(node.addr());
                seen.len() == self.nodes.len() && seen.iter().all(|seen| seen.is_well)
            });
        }
    }

    fn replicate(&self) {
        for (master, replica) in self.nodes.iter().zip(&self.nodes[MASTERS..]) {
            let id = master.command(&["CLUSTER", "MYID"]);
            replica.command(&["CLUSTER", "REPLICATE", &id]);
        }
    }

    /// The nodes, as a client is told.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.nodes.iter().map(|node| node.addr().to_string()).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The slot of a name.
    pub fn slot_of(&self, name: &str) -> u16 {
        self.living_one().command(&["CLUSTER", "KEYSLOT", name]).parse().expect("a slot")
    }

    /// The master of a slot, by what it says itself.
    pub fn master_of(&self, slot: u16) -> &Redis {
        let mut living = self.nodes.iter().filter(|node| node.is_running());
        let master = living.find(|node| {
            seen_by(node.addr()).iter().any(|seen| seen.is_self && seen.is_master_of(slot))
        });
        master.expect("the slot has a master")
    }

    /// Some master that has not this slot.
    pub fn other_master(&self, slot: u16) -> &Redis {
        let addr = self.master_of(slot).addr();
        let other = seen_by(self.living_one().addr())
            .into_iter()
            .find(|seen| seen.is_master && seen.is_well && seen.addr != addr);
        let other = other.expect("there are several").addr;
        self.nodes.iter().find(|node| node.addr() == other).expect("it is one of these")
    }

    /// Kills the master of a slot at once, and returns where it was.
    pub fn kill_master_of(&mut self, slot: u16) -> SocketAddr {
        let addr = self.master_of(slot).addr();
        self.nodes.iter_mut().filter(|node| node.addr() == addr).for_each(Redis::kill);
        addr
    }

    /// Waits until all living nodes know another master of a slot than `old`, and serve again.
    pub async fn replaced(&self, slot: u16, old: SocketAddr) {
        let living = self.living();
        blocking(move || {
            wait_until("another master", || {
                let is_new = |addr: &SocketAddr| {
                    master_of(*addr, slot).is_some_and(|master| master != old) && serves(*addr)
                };
                living.iter().all(is_new)
            });
        })
        .await;
    }

    /// Has the replica of a slot's master take its place, while both live.
    pub async fn failover(&self, slot: u16) {
        let old = self.master_of(slot).addr();
        let asked = blocking(move || {
            wait_until("the replica takes over", || {
                // A node that was a master until now is a replica before all others know it as one.
                replica_of(old)
                    .is_some_and(|addr| ask(addr, None, &["CLUSTER", "FAILOVER"]).is_ok())
            });
        });
        asked.await;
        self.replaced(slot, old).await;
    }

    /// Begins to move a slot to another master.
    pub fn begin_move(&self, slot: u16) -> Move {
        self.begin_move_to(slot, self.other_master(slot).addr())
    }

    /// Begins to move a slot to this master.
    pub fn begin_move_to(&self, slot: u16, to: SocketAddr) -> Move {
        let from = self.master_of(slot);
        let to = self.nodes.iter().find(|node| node.addr() == to).expect("it is one of these");
        let number = slot.to_string();
        let id = |node: &Redis| node.command(&["CLUSTER", "MYID"]);
        to.command(&["CLUSTER", "SETSLOT", &number, "IMPORTING", &id(from)]);
        from.command(&["CLUSTER", "SETSLOT", &number, "MIGRATING", &id(to)]);
        Move { slot, from: from.addr(), to: to.addr() }
    }

    /// Moves one name of a slot that is on its way.
    pub fn move_name(&self, going: Move, name: &str) {
        let port = going.to.port().to_string();
        let said = ask(going.from, None, &["MIGRATE", "127.0.0.1", &port, name, "0", "10000"]);
        assert_eq!(said.expect("it is moved"), "OK", "{name} is there to be moved");
    }

    /// The names of a slot that have not been moved yet.
    pub fn left_behind(&self, going: Move) -> Vec<String> {
        let slot = going.slot.to_string();
        let said = ask(going.from, None, &["CLUSTER", "GETKEYSINSLOT", &slot, "1000000"]);
        said.expect("the old master answers").lines().map(str::to_owned).collect()
    }

    /// Moves what is left, gives the slot to its new master, and returns when all nodes know.
    pub async fn finish_move(&self, going: Move) {
        let living = self.living();
        loop {
            let names = self.left_behind(going);
            if names.is_empty() {
                break;
            }
            for name in names {
                let port = going.to.port().to_string();
                // One that is gone by now is none to move.
                let moved =
                    ask(going.from, None, &["MIGRATE", "127.0.0.1", &port, &name, "0", "10000"]);
                moved.expect("it is moved, or gone");
            }
        }
        let slot = going.slot.to_string();
        let id = ask(going.to, None, &["CLUSTER", "MYID"]).expect("the new master answers");
        for addr in [going.to, going.from] {
            ask(addr, None, &["CLUSTER", "SETSLOT", &slot, "NODE", &id]).expect("it is given");
        }
        blocking(move || {
            wait_until("all nodes know who has the slot", || all_agree(&living, going));
        })
        .await;
    }

    /// Starts the nodes again that were killed, and returns when every master has its replica.
    pub async fn restart(&mut self) {
        for node in std::mem::take(&mut self.nodes) {
            self.nodes.push(if node.is_running() { node } else { node.restart().await });
        }
        let living = self.living();
        blocking(move || are_whole(&living)).await;
    }

    fn living_one(&self) -> &Redis {
        self.nodes.iter().find(|node| node.is_running()).expect("a node lives")
    }

    fn living(&self) -> Vec<SocketAddr> {
        self.nodes.iter().filter(|node| node.is_running()).map(Redis::addr).collect()
    }
}

fn arguments() -> Vec<String> {
    [
        ["--cluster-node-timeout", "1000"],
        ["--cluster-replica-validity-factor", "0"],
        ["--repl-diskless-sync-delay", "0"],
    ]
    .iter()
    .flatten()
    .map(ToString::to_string)
    .collect()
}

/// Waits until all nodes serve, and every replica has what its master has.
fn are_whole(nodes: &[SocketAddr]) {
    let role = |addr: &SocketAddr| ask(*addr, None, &["ROLE"]).unwrap_or_default();
    wait_until("the cluster is whole", || {
        let roles: Vec<String> = nodes.iter().map(role).collect();
        let masters = roles.iter().filter(|role| role.starts_with("master")).count();
        let follow = |role: &&String| role.starts_with("slave") && role.contains("connected");
        masters == MASTERS
            && roles.iter().filter(follow).count() == nodes.len() - MASTERS
            && nodes.iter().all(|addr| serves(*addr) && seen_by(*addr).iter().all(|s| s.is_well))
    });
}

fn serves(addr: SocketAddr) -> bool {
    ask(addr, None, &["CLUSTER", "INFO"]).is_ok_and(|info| info.contains("cluster_state:ok"))
}

/// Whether all nodes know the new master of a slot, and by what right it has it: one that does not
/// could not take the slot from it again.
fn all_agree(nodes: &[SocketAddr], going: Move) -> bool {
    let epochs = nodes.iter().map(|node| {
        let seen = seen_by(*node).into_iter().find(|seen| seen.is_master_of(going.slot))?;
        (seen.addr == going.to).then_some(seen.epoch)
    });
    let epochs: Option<Vec<String>> = epochs.collect();
    epochs.is_some_and(|epochs| epochs.windows(2).all(|pair| pair[0] == pair[1]))
}

/// A replica that a master lists, if it does.
fn replica_of(master: SocketAddr) -> Option<SocketAddr> {
    let id = ask(master, None, &["CLUSTER", "MYID"]).ok()?;
    let replicas = ask(master, None, &["CLUSTER", "REPLICAS", &id]).ok()?;
    replicas.lines().find_map(seen).map(|seen| seen.addr)
}

fn master_of(node: SocketAddr, slot: u16) -> Option<SocketAddr> {
    seen_by(node).into_iter().find(|seen| seen.is_master_of(slot)).map(|seen| seen.addr)
}

/// All that a node knows of; nothing where it does not answer.
fn seen_by(node: SocketAddr) -> Vec<Seen> {
    let said = ask(node, None, &["CLUSTER", "NODES"]).unwrap_or_default();
    said.lines().filter_map(seen).collect()
}

/// Reads `<id> <addr>@<bus> <flags> <master> <ping> <pong> <epoch> <link> <slot or range>...`.
fn seen(line: &str) -> Option<Seen> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (addr, _) = words.get(1)?.split_once('@')?;
    let flags: Vec<&str> = words.get(2)?.split(',').collect();
    let is_ill = |flag: &&str| ["handshake", "noaddr", "fail", "fail?"].contains(flag);
    let slots = words.get(8..)?.iter().filter_map(|word| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some((first.parse().ok()?, last.parse().ok()?))
    });
    Some(Seen {
        is_self: flags.contains(&"myself"),
        addr: addr.parse().ok()?,
        is_master: flags.contains(&"master"),
        is_well: !flags.iter().any(is_ill) && words.get(7) == Some(&"connected"),
        epoch: (*words.get(6)?).to_owned(),
        slots: slots.collect(),
    })
}
