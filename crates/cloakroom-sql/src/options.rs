//! What may be chosen when a database is opened.

use std::time::Duration;

/// How a database is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// What a commit waits for.
    pub synchronous: Synchronous,
    /// How many connections read at once, at least one. Writes go one after the other through a
    /// connection of their own.
    pub readers: u32,
    /// How long a call waits for its turn, and as long again for other processes to let go of the
    /// file; then it fails as unreachable. At most an hour.
    pub busy_timeout: Duration,
}

impl Default for Options {
    /// [`Synchronous::Normal`], two readers, five seconds.
    fn default() -> Self {
        Self { synchronous: Synchronous::Normal, readers: 2, busy_timeout: Duration::from_secs(5) }
    }
}

impl Options {
    const LONGEST_BUSY_TIMEOUT: Duration = Duration::from_secs(3600);

    /// The busy timeout as the driver takes it.
    pub(crate) fn bounded_busy_timeout(&self) -> Duration {
        self.busy_timeout.min(Self::LONGEST_BUSY_TIMEOUT)
    }
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
