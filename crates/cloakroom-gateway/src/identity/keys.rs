//! The signing keys: a directory of PEM files that all nodes share, each named for the second from
//! which on it signs.
//!
//! `0.pem` is the first; `1800000000.pem` signs from that second on. Who removes a file withdraws the
//! key. A new key is of the same algorithm as the one before.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use cloakroom::Timestamp;
use cloakroom::jwt::{Algorithm, Error, MOST_KEYS, Signer, SigningKey};

use super::timetable::{Begin, Timetable};
use crate::fault::{Fault, chain};

/// A signing key's file name ends so.
const SUFFIX: &str = ".pem";
/// What is being written has a name that ends so, until all of it is there.
const UNFINISHED: &str = ".new";

/// The directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) timetable: Timetable,
    /// In whose name is signed.
    pub(super) issuer: String,
}

/// The keys as they were read at one moment.
#[derive(Debug)]
pub(super) struct Keys {
    /// In the order in which they sign. Each publishes all the others.
    signers: Vec<Arc<Signer>>,
    begins: Vec<Begin>,
    files: Vec<KeyFile>,
}

/// What is enough to see that a file is another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct KeyFile {
    begin: Begin,
    modified: Option<SystemTime>,
}

impl Keys {
    /// The signer whose turn it is.
    pub(super) fn signing(&self, now: Timestamp) -> Option<&Arc<Signer>> {
        self.signers.get(Timetable::signing(&self.begins, now)?)
    }

    /// All public keys, as a JSON Web Key Set.
    pub(super) fn jwks(&self, now: Timestamp) -> Option<String> {
        self.signing(now).map(|signer| signer.jwks(now))
    }
}

impl Directory {
    /// Reads the keys; makes one where it is time for it, and removes those whose time is over.
    /// Returns `None` where `before` is what is there still.
    pub(super) fn read(
        &self,
        before: Option<&Keys>,
        now: Timestamp,
    ) -> Result<Option<Keys>, Fault> {
        self.read_or(before, now).map_err(|error| {
            let what = format!("the signing keys in {}: {error}", self.path.display());
            Fault::new(what).hint("every node needs to read and to write there")
        })
    }

    fn read_or(&self, before: Option<&Keys>, now: Timestamp) -> Result<Option<Keys>, String> {
        let mut files = self.list().map_err(|error| error.to_string())?;
        for begin in self.timetable.retired(&begins(&files), now).collect::<Vec<_>>() {
            // That another node was first is as good; what stays is published for longer.
            let _ = fs::remove_file(self.path_of(begin));
            files.retain(|file| file.begin != begin);
        }
        if let Some(begin) = self.timetable.missing(&begins(&files), now) {
            self.make(begin, self.algorithm(&files)?)?;
            files = self.list().map_err(|error| error.to_string())?;
        }
        // Not before what is out of use is gone: else a directory that is full would stay so.
        if files.len() >= MOST_KEYS {
            return Err(format!("there are {MOST_KEYS} or more; remove some"));
        }
        if before.is_some_and(|before| before.files == files) {
            return Ok(None);
        }
        self.load(files).map(Some)
    }

    /// The files of keys, in the order in which they sign.
    fn list(&self) -> io::Result<Vec<KeyFile>> {
        make_directory(&self.path)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Some(begin) = entry.file_name().to_str().and_then(begin_of) else { continue };
            // Gone since it was listed, or its file system knows no such time.
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            files.push(KeyFile { begin, modified });
        }
        files.sort();
        Ok(files)
    }

    fn path_of(&self, begin: Begin) -> PathBuf {
        self.path.join(format!("{begin}{SUFFIX}"))
    }

    /// That of the newest key, so that whoever wants another puts a key of it there.
    fn algorithm(&self, files: &[KeyFile]) -> Result<Algorithm, String> {
        let Some(newest) = files.last() else { return Ok(Algorithm::EdDsa) };
        Ok(self.open(newest.begin)?.public().algorithm())
    }

    fn open(&self, begin: Begin) -> Result<SigningKey, String> {
        SigningKey::from_file(self.path_of(begin)).map_err(|error| chain(&error))
    }

    /// Makes a key, unless another node has just done so: under its name a key is there as a whole or
    /// not at all, and is never replaced.
    fn make(&self, begin: Begin, algorithm: Algorithm) -> Result<(), String> {
        let key = SigningKey::generate(algorithm).map_err(|error| chain(&error))?;
        let unfinished = self.path.join(format!("{}{UNFINISHED}", key.kid()));
        key.save(&unfinished).map_err(|error| chain(&error))?;
        let named = fs::hard_link(&unfinished, self.path_of(begin));
        // Nobody looks at it; that it stays harms nobody.
        let _ = fs::remove_file(&unfinished);
        match named {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(format!("a new key cannot be named: {error}"))
            }
            _ => Ok(()),
        }
    }

    fn load(&self, files: Vec<KeyFile>) -> Result<Keys, String> {
        let open = |file: &KeyFile| self.open(file.begin);
        let keys = files.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let publics: Vec<_> = keys.iter().map(|key| key.public().clone()).collect();
        let signer = |key| {
            let signer = Signer::new(&self.issuer, key).longest_lifetime(self.timetable.lifetime);
            for public in &publics {
                signer.announce(public.clone())?;
            }
            Ok(Arc::new(signer))
        };
        let signers = keys.into_iter().map(signer).collect::<Result<_, Error>>();
        let signers = signers.map_err(|error| chain(&error))?;
        Ok(Keys { signers, begins: begins(&files), files })
    }
}

fn begins(files: &[KeyFile]) -> Vec<Begin> {
    files.iter().map(|file| file.begin).collect()
}

/// The second that a file is named for; `None` for anything that is no key's name in its one spelling.
fn begin_of(name: &str) -> Option<Begin> {
    let digits = name.strip_suffix(SUFFIX)?;
    let begin: Begin = digits.parse().ok()?;
    (begin.to_string() == digits).then_some(begin)
}

/// Makes a directory that only its owner can enter, unless there is one.
fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::*;
    use cloakroom::jwt::{Identity, KeySet, Refused, Verifier};

    const DAY: u64 = 24 * 60 * 60;

    fn directory(path: &Path) -> Directory {
        let timetable = Timetable {
            rotate_every: Duration::from_secs(30 * DAY),
            lifetime: Duration::from_secs(60),
        };
        Directory { path: path.to_owned(), timetable, issuer: "https://login.example".to_owned() }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn kid(keys: &Keys, now: Timestamp) -> String {
        keys.signing(now).unwrap().public().kid().to_owned()
    }

    #[test]
    fn nodes_that_start_at_once_end_with_the_same_key() {
        const NODES: usize = 8;
        for _ in 0..20 {
            let place = tempfile::tempdir().unwrap();
            let barrier = Barrier::new(NODES);
            let start = || {
                barrier.wait();
                let keys = directory(&place.path().join("keys")).read(None, at(1)).unwrap();
                kid(&keys.unwrap(), at(1))
            };
            let kids: Vec<String> = std::thread::scope(|scope| {
                let nodes: Vec<_> = (0..NODES).map(|_| scope.spawn(start)).collect();
                nodes.into_iter().map(|node| node.join().unwrap()).collect()
            });
            assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
            let left = fs::read_dir(place.path().join("keys")).unwrap().count();
            assert_eq!(left, 1, "nothing unfinished is left behind");
        }
    }

    #[test]
    fn a_new_key_is_published_before_it_signs_and_the_old_one_after() {
        let place = tempfile::tempdir().unwrap();
        let directory = directory(place.path());
        let start = 1_800_000_000;
        let first = directory.read(None, at(start)).unwrap().unwrap();
        let old = kid(&first, at(start));
        // The first key is as old as can be, so the next is announced at the next look.
        let both = directory.read(Some(&first), at(start + 1)).unwrap().unwrap();
        assert_eq!(kid(&both, at(start + 1)), old);
        let later = at(start + 1 + DAY + 3600);
        let new = kid(&both, later);
        assert_ne!(new, old);
        for now in [at(start + 1), later] {
            let published = KeySet::parse(&both.jwks(now).unwrap()).unwrap();
            assert!([&old, &new].into_iter().all(|kid| published.get(kid).is_some()));
        }
        let over = later + Duration::from_secs(3600);
        let alone = directory.read(Some(&both), over).unwrap().unwrap();
        let published = KeySet::parse(&alone.jwks(over).unwrap()).unwrap();
        assert!(published.get(&old).is_none() && published.get(&new).is_some());
        assert!(directory.read(Some(&alone), over).unwrap().is_none(), "nothing has changed");
    }

    #[test]
    fn a_key_whose_file_is_gone_is_withdrawn() {
        let place = tempfile::tempdir().unwrap();
        let directory = directory(place.path());
        let now = at(1_800_000_000);
        let before = directory.read(None, now).unwrap().unwrap();
        let identity = Identity::new("alice").audience("shop");
        let stolen = before.signing(now).unwrap().sign(&identity, now).unwrap();
        for file in fs::read_dir(place.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        let after = directory.read(Some(&before), now).unwrap().unwrap();
        let keys = KeySet::parse(&after.jwks(now).unwrap()).unwrap();
        let verifier = Verifier::new("https://login.example", "shop", keys);
        assert_eq!(verifier.verify(&stolen, now).unwrap_err(), Refused::UnknownKey);
    }

    /// As after a long time in which the directory could be read, and not written.
    #[test]
    fn keys_out_of_use_are_removed_however_many_there_are() {
        let place = tempfile::tempdir().unwrap();
        let directory = directory(place.path());
        let now = 1_800_000_000;
        let begins = || (0..100).map(|n| now - n * DAY);
        for begin in begins() {
            let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
            key.save(place.path().join(format!("{begin}.pem"))).unwrap();
        }
        let keys = directory.read(None, at(now + 3600)).unwrap().unwrap();
        assert_eq!(keys.begins, [now]);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        // What is in use stays, and too much of it is refused.
        for n in 1..=u64::try_from(MOST_KEYS).unwrap() {
            let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
            key.save(place.path().join(format!("{}.pem", now + n * DAY))).unwrap();
        }
        let fault = directory.read(Some(&keys), at(now + 3600)).unwrap_err().to_string();
        assert!(fault.contains("remove some"), "{fault}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), MOST_KEYS + 1);
    }

    #[test]
    fn a_new_key_is_of_the_algorithm_of_the_one_before() {
        let place = tempfile::tempdir().unwrap();
        let directory = directory(place.path());
        let own = SigningKey::generate(Algorithm::Es256).unwrap();
        own.save(place.path().join("0.pem")).unwrap();
        let now = at(1_800_000_000);
        let keys = directory.read(None, now).unwrap().unwrap();
        assert_eq!(keys.begins.len(), 2);
        for signer in &keys.signers {
            assert_eq!(signer.public().algorithm(), Algorithm::Es256);
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let directory = directory(place.path());
        directory.read(None, at(1)).unwrap();
        let path = place.path().join("0.pem");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let fault = directory.read(None, at(1)).unwrap_err().to_string();
        assert!(fault.contains("chmod 600"), "{fault}");
    }

    #[test]
    fn only_names_of_keys_are_read() {
        for (name, begin) in [("0.pem", Some(0)), ("1800000000.pem", Some(1_800_000_000))] {
            assert_eq!(begin_of(name), begin);
        }
        for other in ["00.pem", "+1.pem", "1.PEM", "a.pem", ".pem", "1.pem.new", "1"] {
            assert_eq!(begin_of(other), None, "{other}");
        }
    }
}
