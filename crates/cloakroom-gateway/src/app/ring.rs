//! The keys that seal what browsers keep: read from their file, or made where there is none.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use cloakroom::KeyRing;

use crate::fault::Fault;

const FILE: &str = "seals";
/// Rights of the file, and of the directory: their owner's.
const OWNER_READS: u32 = 0o600;
const OWNER_ENTERS: u32 = 0o700;

/// The key ring in the directory `dir`. Of several processes that make it at once, all have the
/// same in the end.
pub(super) fn read_or_make(dir: &Path) -> Result<KeyRing, Fault> {
    let path = dir.join(FILE);
    if !path.exists() {
        make(dir, &path).map_err(|error| {
            Fault::new(format!("the keys {} cannot be made: {error}", path.display()))
                .hint("name a directory of your own in the configuration: [identity] keys")
                .hint_without_file("name a directory of your own with --dir")
        })?;
    }
    KeyRing::read(&path).map_err(|error| {
        Fault::new(format!("the keys {} cannot be used: {error}", path.display()))
            .hint("all nodes need the same file; without it, new keys are made")
    })
}

fn make(dir: &Path, path: &Path) -> std::io::Result<()> {
    directory(dir)?;
    let line = KeyRing::new_line("first").map_err(std::io::Error::other)?;
    // Whole under another name first: nobody reads half a key.
    let beside = dir.join(format!("{FILE}.{:016x}", getrandom::u64()?));
    let mut file = options().open(&beside)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    File::open(dir)?.sync_all()?;
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

/// Makes a directory that only its owner may enter, where it is missing.
pub(super) fn make_directory(dir: &Path) -> Result<(), Fault> {
    directory(dir).map_err(|error| {
        Fault::new(format!("the directory {} cannot be made: {error}", dir.display()))
            .hint("name another with --dir")
    })
}

fn directory(dir: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(OWNER_ENTERS).create(dir)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(OWNER_READS);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_read_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("keys");
        let rings = std::thread::scope(|scope| {
            let made: Vec<_> = (0..8).map(|_| scope.spawn(|| read_or_make(&keys))).collect();
            made.into_iter().map(|ring| ring.join().unwrap().unwrap()).collect::<Vec<_>>()
        });
        let now = cloakroom::Timestamp::from_millis(1);
        let sealed = rings[0].seal("visitor", b"7", now).unwrap();
        for ring in rings.iter().chain([&read_or_make(&keys).unwrap()]) {
            assert_eq!(ring.open("visitor", &sealed).as_deref(), Some(&b"7"[..]));
        }
        assert_eq!(fs::read_dir(&keys).unwrap().count(), 1);
    }

    #[test]
    fn what_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        read_or_make(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_or_make(dir.path()).unwrap_err().to_string().contains("cannot be used"));
    }
}
