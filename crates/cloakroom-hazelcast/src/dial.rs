//! Makes a connection: finds a member that is there, and says who we are.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cloakroom_core::record::CommitId;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::codec::answer::{self, Welcome};
use crate::codec::request::{self, Identity};
use crate::codec::{PREFACE, Uuid};
use crate::fault::{Fault, Turned};
use crate::tls::Connector;
use crate::url::{Address, Target};
use crate::watch::Watch;
use crate::wire::{Stream, Wire};

/// What a member answers that lets us in.
const LET_IN: u8 = 0;
/// What it answers where the cluster, the name or the password is wrong.
const WRONG_CREDENTIALS: u8 = 1;
/// What it answers to clients that it does not want.
const NOT_ALLOWED: u8 = 3;
/// The number of the first version that will do.
const LEAST_VERSION: u32 = 5;

/// How members are found.
pub(crate) struct Dialer {
    target: Target,
    tls: Option<Connector>,
    /// How long one member may take to let us in.
    limit: Duration,
    /// Which member is tried first.
    next: AtomicUsize,
}

/// A connection that we are let in on.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) wire: Wire,
    pub(crate) watch: Arc<Watch>,
    /// As whom: another one with every connection, so that what an earlier one still does is told
    /// like anybody else's changes.
    pub(crate) own: Uuid,
    listening: Arc<AtomicBool>,
}

impl Line {
    /// Has members tell of changes from now on, where they do not yet.
    pub(crate) async fn listen(&self, map: &str, limit: Duration) -> Result<(), Fault> {
        if !self.listening.load(Ordering::Acquire) {
            self.wire.call(request::invalidations(map), limit).await?;
            self.listening.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl Dialer {
    pub(crate) fn new(target: Target, tls: Option<Connector>, limit: Duration) -> Self {
        Self { target, tls, limit, next: AtomicUsize::new(0) }
    }

    pub(crate) fn map(&self) -> &str {
        &self.target.map
    }

    /// Connects to the first member that lets us in, from the one on that did so last.
    pub(crate) async fn dial(&self) -> Result<Line, Fault> {
        let members = &self.target.members;
        let first = self.next.load(Ordering::Relaxed);
        let mut last = Fault::Replaced;
        for at in (first..first + members.len()).map(|at| at % members.len()) {
            match timeout(self.limit, self.connect(&members[at])).await {
                Ok(Ok(line)) => {
                    self.next.store(at, Ordering::Relaxed);
                    return Ok(line);
                }
                Ok(Err(fault)) => last = worse(last, fault),
                Err(_) => last = worse(last, io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        }
        Err(last)
    }

    async fn connect(&self, address: &Address) -> Result<Line, Fault> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => self.log_in(stream).await,
            Some(tls) => self.log_in(tls.connect(&address.host, stream).await?).await,
        }
    }

    async fn log_in(&self, mut stream: impl Stream + 'static) -> Result<Line, Fault> {
        stream.write_all(PREFACE).await?;
        let own = random();
        let watch = Arc::new(Watch::new(own, &self.target.map));
        let ears = Arc::clone(&watch);
        let wire = Wire::new(stream, ears, self.limit);
        self.introduce(&wire, &watch, own).await.map_err(before_use)?;
        Ok(Line { wire, watch, own, listening: Arc::default() })
    }

    async fn introduce(&self, wire: &Wire, watch: &Watch, own: Uuid) -> Result<(), Fault> {
        let identity = Identity {
            cluster: self.target.cluster.clone(),
            name: self.target.name.clone(),
            password: self.target.password.clone(),
            uuid: own,
        };
        let answer = wire.call(request::authentication(&identity), self.limit).await?;
        let welcome = admitted(answer::welcome(&answer)?)?;
        watch.let_in(welcome.member, welcome.partitions);
        wire.call(request::cluster_view(), self.limit).await?;
        watch.introduced().await;
        Ok(())
    }
}

/// Which of two failures to tell of: what a member says itself is more than that another one is not
/// there.
fn worse(one: Fault, other: Fault) -> Fault {
    match one {
        Fault::Turned(_) => one,
        _ => other,
    }
}

/// Makes sure that we are let in, by a member that will do.
fn admitted(welcome: Welcome) -> Result<Welcome, Fault> {
    match welcome.status {
        LET_IN => {}
        WRONG_CREDENTIALS => return Err(Turned::Credentials.into()),
        NOT_ALLOWED => return Err(Turned::Filtered.into()),
        _ => return Err(Turned::Stranger.into()),
    }
    let number = welcome.version.split('.').next().and_then(|number| number.parse::<u32>().ok());
    match number {
        Some(LEAST_VERSION..) if welcome.partitions > 0 => Ok(welcome),
        Some(_) => Err(Turned::TooOld(welcome.version).into()),
        None => Err(Turned::Stranger.into()),
    }
}

/// Nobody has asked for anything yet that could have been done.
fn before_use(fault: Fault) -> Fault {
    match fault {
        Fault::Closed | Fault::Replaced | Fault::Malformed(_) => Turned::Stranger.into(),
        Fault::Overdue => io::Error::from(io::ErrorKind::TimedOut).into(),
        Fault::Refused(_) => Turned::Credentials.into(),
        other => other,
    }
}

/// A name that nobody else has.
fn random() -> Uuid {
    let half = || u64::from_ne_bytes(*CommitId::random().as_bytes());
    Uuid(u128::from(half()) << 64 | u128::from(half()))
}

impl fmt::Debug for Dialer {
    /// Prints where, never as whom.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.target.members.iter().map(Address::to_string);
        f.debug_list().entries(members).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_has_a_name_of_its_own() {
        assert_ne!(random(), random());
    }

    #[test]
    fn only_a_member_that_will_do_lets_us_in() {
        let welcome = |status, version: &str| {
            let welcome =
                Welcome { status, member: None, version: version.to_owned(), partitions: 271 };
            admitted(welcome).map(|_| ()).map_err(|fault| fault.to_string())
        };
        assert_eq!(welcome(0, "5.0"), Ok(()));
        assert_eq!(welcome(0, "10.1.2-SNAPSHOT"), Ok(()));
        assert!(welcome(0, "4.2.8").unwrap_err().contains("4.2.8 is too old"));
        assert!(welcome(1, "").unwrap_err().contains("cluster's name"));
        assert!(welcome(3, "").unwrap_err().contains("filtering"));
        assert!(welcome(0, "").unwrap_err().contains("no Hazelcast member"));
    }
}
