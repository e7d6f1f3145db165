//! Finds the database's file, and makes it where there is none, for its owner's eyes only.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::connect::ConnectError;

/// The path in `url`: what stands behind `sqlite://` or `sqlite:`, literally.
///
/// The error names the scheme and no more: another database's URL holds a password.
pub(crate) fn path(url: &str) -> Result<PathBuf, ConnectError> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(ConnectError::Url("expected sqlite://path".to_owned()));
    };
    if scheme != "sqlite" {
        let message = format!("no database is known under the scheme {scheme:?}, only sqlite");
        return Err(ConnectError::Url(message));
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let fault = match path {
        "" => "a path is missing: expected sqlite://path",
        _ if path.starts_with(":memory:") || path.contains("mode=memory") => {
            "an SQLite database in memory has nothing to offer here: use memory: instead"
        }
        _ if path.contains(['?', '#', '\0']) => {
            "a path with `?`, `#` or a null character is not taken; options go to with_options"
        }
        // Made absolute, it means the same file for ever and is never taken for a URI.
        _ => return std::path::absolute(path).map_err(ConnectError::File),
    };
    Err(ConnectError::Url(fault.to_owned()))
}

/// Sees to it that there is a file at `path` that can be written to.
///
/// The file itself is never opened here: closing it again would drop the locks that SQLite holds
/// on it in this process. A new one is made under another name and closed before it appears.
/// SQLite gives its companions, `-wal` and `-shm`, the same mode.
pub(crate) fn ensure(path: &Path) -> Result<(), ConnectError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(ConnectError::IsDirectory(path.to_owned())),
        Ok(found) if found.permissions().readonly() => Err(ConnectError::ReadOnly(path.to_owned())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => create(path),
        Err(error) => Err(ConnectError::File(error)),
    }
}

fn create(path: &Path) -> Result<(), ConnectError> {
    let directory = path.parent().unwrap_or(path);
    if !directory.is_dir() {
        return Err(ConnectError::NoDirectory(directory.to_owned()));
    }
    // Mode 0600 on Unix.
    let made = NamedTempFile::new_in(directory).map_err(ConnectError::File)?;
    match made.into_temp_path().persist_noclobber(path) {
        Ok(()) => Ok(()),
        Err(other) if other.error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(other) => Err(ConnectError::File(other.error)),
    }
}
