//! Reads and writes the file of a private key, and sees to it that nobody else can.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::Error;

/// Bytes in the largest file that is read as a key.
const LARGEST: usize = 16 * 1024;
/// What must not be allowed: anything to others, writing and running to the group. That the group
/// may read is how orchestrators hand a secret to a process that is not root.
#[cfg(unix)]
const FORBIDDEN: u32 = 0o037;

/// Reads a private key's file.
pub(crate) fn read_private(path: &Path) -> Result<Zeroizing<String>, Error> {
    let failed = |source| Error::File { path: path.to_owned(), done: "read", source };
    // Asked before it is opened, for opening a pipe would wait for its writer.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a file")));
    }
    let file = File::open(path).map_err(failed)?;
    refuse_exposed(&file, path)?;
    // As much as it may need and a byte more, so that no half of a key is left behind as it grows.
    let mut text = Zeroizing::new(String::with_capacity(LARGEST + 1));
    let limit = u64::try_from(LARGEST + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_string(&mut text).map_err(failed)?;
    if text.len() > LARGEST {
        return Err(failed(io::Error::other("it is too large for a key")));
    }
    Ok(text)
}

/// Writes a private key to a file that was not there, all of it or none.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), done: "written", source };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|source| {
        // Half a key helps nobody, and would be in the way of the next attempt.
        let _ = std::fs::remove_file(path);
        failed(source)
    })
}

#[cfg(unix)]
fn refuse_exposed(file: &File, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { path: path.to_owned(), done: "read", source };
    let metadata = file.metadata().map_err(failed)?;
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    if mode & FORBIDDEN == 0 {
        return Ok(());
    }
    Err(Error::Exposed { path: path.to_owned(), mode })
}

#[cfg(not(unix))]
fn refuse_exposed(_: &File, _: &Path) -> Result<(), Error> {
    Ok(())
}
