//! What may be chosen when a database is opened.

use std::time::Duration;

/// How a database is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// SQLite: what a commit waits for.
    pub synchronous: Synchronous,
    /// SQLite: how many connections read at once, at least one. Writes go one after the other
    /// through a connection of their own.
    pub readers: u32,
    /// SQLite: how long a call waits for its turn, and as long again for other processes to let go
    /// of the file; then it fails as unreachable. At most an hour.
    pub busy_timeout: Duration,
    /// Servers: the most connections at once, at least one. The feed has one more.
    pub connections: u32,
    /// Servers: how long a call may take altogether, the wait for a connection included. A single
    /// statement is given up by the server a little earlier, so that its outcome is known.
    pub call_timeout: Duration,
    /// PostgreSQL: whether changes are told, so that nodes may have near caches. All nodes on one
    /// database alike: what a node does not tell, the caches of the others do not hear. A commit
    /// that is told waits, for as long as its disk takes, for the others that are told.
    pub notify: bool,
}

impl Default for Options {
    /// [`Synchronous::Normal`], two readers, five seconds; ten connections, two seconds, told.
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Normal,
            readers: 2,
            busy_timeout: Duration::from_secs(5),
            connections: 10,
            call_timeout: Duration::from_secs(2),
            notify: true,
        }
    }
}

impl Options {
    const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);

    /// The busy timeout as the driver takes it.
    #[cfg(feature = "sqlite")]
    pub(crate) fn bounded_busy_timeout(&self) -> Duration {
        self.busy_timeout.min(Self::LONGEST_TIMEOUT)
    }

    /// The call's timeout, between a hundredth of a second and an hour.
    pub(crate) fn bounded_call_timeout(&self) -> Duration {
        self.call_timeout.clamp(Duration::from_millis(10), Self::LONGEST_TIMEOUT)
    }

    /// How long a server may take over one statement.
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(crate) fn statement_timeout(&self) -> Duration {
        statement_timeout(self.bounded_call_timeout())
    }
}

/// How long a server may take over one statement of a call that has to be answered by this limit.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn statement_timeout(limit: Duration) -> Duration {
    limit * 3 / 4
}

/// What a commit waits for before it is answered. In either case the file stays whole, and the
/// end of a process, `kill -9` included, loses nothing that was answered.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Synchronous {
    /// That the operating system has it. A power failure or a crash of the machine may undo the
    /// last commits, logouts among them.
    #[default]
    Normal,
    /// That the disk has it: what was answered also survives a power failure. Every commit waits
    /// for the disk.
    Full,
}
