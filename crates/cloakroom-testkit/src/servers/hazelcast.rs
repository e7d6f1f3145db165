//! A real Hazelcast cluster.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::process::{Process, blocking, free_addr};

/// The version that tests run against.
const VERSION: &str = "5.7.0";
/// How many ports are tried before a member that does not start is given up.
const PORTS_TRIED: usize = 10;
/// How many members a cluster has that tests share.
const SHARED: usize = 2;
/// Fewer than the 271 that there are by default: hundreds of tests have a map each.
const PARTITIONS: &str = "31";
/// How long a member may take to answer when it is asked for its health.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a cluster may take to be whole: a virtual machine for each member has to start.
const LONG: Duration = Duration::from_secs(150);
/// How often it is asked whether it is.
const EVERY: Duration = Duration::from_millis(50);
/// What the class that runs a member is called.
const MAIN: &str = "com.hazelcast.core.server.HazelcastMemberStarter";

/// Members on 127.0.0.1, which are one cluster and keep one backup of everything.
#[derive(Debug)]
pub struct Hazelcast {
    members: Vec<Member>,
    /// Everybody that may ever be one.
    addrs: Vec<SocketAddr>,
    properties: Vec<(String, String)>,
    directory: TempDir,
}

#[derive(Debug)]
struct Member {
    addr: SocketAddr,
    /// `None` once it was killed.
    process: Option<Process>,
}

impl Hazelcast {
    /// The cluster that all tests of this process share. Each has a map of its own: see
    /// [`Hazelcast::new_map`].
    pub async fn shared() -> &'static Self {
        static SHARED_CLUSTER: OnceCell<Hazelcast> = OnceCell::const_new();
        SHARED_CLUSTER.get_or_init(|| Self::start(SHARED)).await
    }

    /// Starts a cluster, and returns when its members have found each other. Panics where Java or
    /// Hazelcast is missing.
    pub async fn start(members: usize) -> Self {
        Self::start_with(members, &[]).await
    }

    /// Starts a cluster whose members have properties of the caller's own.
    pub async fn start_with(members: usize, properties: &[(&str, &str)]) -> Self {
        let properties: Vec<_> =
            properties.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        blocking(move || Self::start_now(members, &properties)).await
    }

    fn start_now(members: usize, properties: &[(String, String)]) -> Self {
        for _ in 0..PORTS_TRIED {
            let mut cluster = Self {
                members: Vec::new(),
                addrs: (0..members).map(|_| free_addr()).collect(),
                properties: properties.to_vec(),
                directory: TempDir::new().expect("a temporary directory"),
            };
            for addr in cluster.addrs.clone() {
                let process = Some(cluster.spawn(addr));
                cluster.members.push(Member { addr, process });
            }
            if cluster.is_whole(members) {
                return cluster;
            }
        }
        panic!("Hazelcast ended {PORTS_TRIED} times before it answered");
    }

    /// Waits until all members see so many, and have put everything where it belongs; `false` where
    /// one ends instead, which is what it does when its port is taken.
    fn is_whole(&mut self, size: usize) -> bool {
        let begun = Instant::now();
        loop {
            let running = self.members.iter_mut().filter_map(|member| member.process.as_mut());
            if running.map(Process::has_ended).fold(false, |one, other| one | other) {
                return false;
            }
            let mut running = self.members.iter().filter(|member| member.process.is_some());
            if running.all(|member| is_safe(member.addr, size)) {
                return true;
            }
            assert!(begun.elapsed() < LONG, "the members of Hazelcast do not find each other");
            thread::sleep(EVERY);
        }
    }

    fn spawn(&self, addr: SocketAddr) -> Process {
        let file = self.directory.path().join(format!("{}.xml", addr.port()));
        std::fs::write(&file, self.configuration(addr)).expect("a configuration is written");
        let mut command = Command::new("java");
        command
            .args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg(format!("-Dhazelcast.config={}", file.display()))
            .arg("-cp")
            .arg(jar())
            .arg(MAIN)
            .current_dir(self.directory.path());
        Process::spawn(&mut command, self.directory.path())
    }

    fn configuration(&self, addr: SocketAddr) -> String {
        let property = |(name, value): &(String, String)| {
            format!(r#"<property name="{name}">{value}</property>"#)
        };
        let properties: String = self.properties.iter().map(property).collect();
        let members: String =
            self.addrs.iter().map(|addr| format!("<member>{addr}</member>")).collect();
        CONFIGURATION
            .replace("{port}", &addr.port().to_string())
            .replace("{properties}", &properties)
            .replace("{partitions}", PARTITIONS)
            .replace("{members}", &members)
    }

    /// A name for a map that nobody else uses.
    pub fn new_map(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        format!("map-{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Where its members listen.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// How a client is told of all its members, and of a map.
    pub fn url(&self, map: &str) -> String {
        let members: Vec<String> = self.addrs.iter().map(ToString::to_string).collect();
        format!("hazelcast://{}/cloakroom?map={map}", members.join(","))
    }

    /// Kills a member at once, without a chance to hand over what it has.
    pub fn kill(&mut self, member: usize) {
        self.members[member].process = None;
    }

    /// Starts a member again that was killed, with nothing in it, and returns when the cluster is
    /// whole.
    pub async fn restart(mut self, member: usize) -> Self {
        self.members[member].process = Some(self.spawn(self.members[member].addr));
        self.whole().await
    }

    /// Waits until those members that are left have noticed who is not.
    pub async fn whole(self) -> Self {
        blocking(move || {
            let mut cluster = self;
            let left = cluster.members.iter().filter(|member| member.process.is_some()).count();
            assert!(cluster.is_whole(left), "the members that are left stay");
            cluster
        })
        .await
    }

    /// Stops a member where it stands: connections stay open, nothing is answered.
    pub fn pause(&self, member: usize) {
        self.running(member).pause();
    }

    /// Lets a member go on after [`Hazelcast::pause`].
    pub fn resume(&self, member: usize) {
        self.running(member).resume();
    }

    fn running(&self, member: usize) -> &Process {
        self.members[member].process.as_ref().expect("the member was killed")
    }
}

/// Where Hazelcast is. Panics where it is nowhere, and says what to do.
fn jar() -> PathBuf {
    let name = format!("hazelcast-{VERSION}.jar");
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers").join(&name);
    let path = std::env::var_os("HAZELCAST_JAR").map_or(target, PathBuf::from);
    assert!(
        path.is_file(),
        "there is no Hazelcast at {}: scripts/test --all puts it there; or download \
         com.hazelcast:hazelcast:{VERSION} from Maven Central, and say where it is with \
         HAZELCAST_JAR",
        path.display()
    );
    path
}

/// Whether a member says that it sees so many, and that every one of them has what it should.
fn is_safe(addr: SocketAddr, size: usize) -> bool {
    let health = health(addr).unwrap_or_default();
    let says = |what: &str| health.contains(what);
    says(r#""nodeState":"ACTIVE""#)
        && says(r#""clusterSafe":true"#)
        && says(r#""migrationQueueSize":0"#)
        && says(&format!(r#""clusterSize":{size}"#))
}

fn health(addr: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(
        b"GET /hazelcast/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    // A member may leave the connection open: what has come is what there is.
    let mut some = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut some) {
        answer.extend_from_slice(&some[..count]);
        if answer.ends_with(b"}") {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).replace(' ', ""))
}

/// What a member is told. Nothing is looked for but the members named.
const CONFIGURATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<hazelcast xmlns="http://www.hazelcast.com/schema/config">
  <cluster-name>cloakroom</cluster-name>
  <properties>
    <property name="hazelcast.phone.home.enabled">false</property>
    <property name="hazelcast.partition.count">{partitions}</property>
    <property name="hazelcast.map.invalidation.batch.enabled">false</property>
    {properties}
  </properties>
  <network>
    <port auto-increment="false">{port}</port>
    <join>
      <auto-detection enabled="false"/>
      <multicast enabled="false"/>
      <tcp-ip enabled="true">{members}</tcp-ip>
    </join>
    <interfaces enabled="true"><interface>127.0.0.1</interface></interfaces>
    <rest-api enabled="true">
      <endpoint-group name="HEALTH_CHECK" enabled="true"/>
    </rest-api>
  </network>
</hazelcast>
"#;
