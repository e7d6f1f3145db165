//! Knows the database's file again, so that one that was removed or replaced is noticed.
//!
//! A process keeps the file that it has opened, whatever becomes of its name: without this, nodes
//! would go on with different files and none would say so. The file is asked for by its name and
//! never opened here. Where a system has no numbers that tell files apart (it is not Unix), nothing
//! is noticed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloakroom_core::store::{Error, Result};

/// The file that was opened is not what its name leads to.
#[derive(Debug, thiserror::Error)]
#[error("the database file was removed or replaced; restart this node")]
pub(crate) struct Lost;

/// The file that was opened. Clones notice together.
#[derive(Clone, Debug)]
pub(crate) struct Identity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    numbers: Option<Numbers>,
    lost: AtomicBool,
}

/// The device and the number of a file on it. No other file has them while the file is open.
type Numbers = (u64, u64);

impl Identity {
    /// Notes which file `path` leads to, before it is opened.
    pub(crate) fn of(path: &Path) -> Self {
        let numbers = fs::metadata(path).ok().and_then(|found| numbers(&found));
        Self(Arc::new(Inner { path: path.into(), numbers, lost: AtomicBool::new(false) }))
    }

    /// Fails where the file is known to be lost.
    pub(crate) fn known(&self) -> Result<()> {
        match self.0.lost.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(Error::Refused(Lost.into())),
        }
    }

    /// Looks whether the file is still there, and fails from then on where it is not. Costs a call
    /// to the system, of a microsecond or two.
    pub(crate) fn look(&self) -> Result<()> {
        if self.is_other() && !self.0.lost.swap(true, Ordering::Relaxed) {
            tracing::error!(path = %self.0.path.display(), "{Lost}");
        }
        self.known()
    }

    /// Whether the path leads elsewhere, or nowhere. What cannot be told counts as the same.
    fn is_other(&self) -> bool {
        let Some(opened) = self.0.numbers else {
            return false;
        };
        match fs::metadata(&self.0.path) {
            Ok(found) => numbers(&found) != Some(opened),
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        }
    }
}

#[cfg(unix)]
fn numbers(found: &fs::Metadata) -> Option<Numbers> {
    use std::os::unix::fs::MetadataExt;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn numbers(_found: &fs::Metadata) -> Option<Numbers> {
    None
}
