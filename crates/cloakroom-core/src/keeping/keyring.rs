//! The keys that sessions are sealed with: a ring of them, the newest of which seals and all of
//! which open; and the file that they are kept in.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::seal::{self, BoundTo};
use crate::time::Timestamp;
use crate::token::random;

/// The most keys of a ring.
const MOST_KEYS: usize = 64;
/// The most characters of a key's name.
const MOST_ID: usize = 32;
/// The most bytes of a key file.
const MOST_FILE: u64 = 64 * 1024;
const KEY: usize = 32;
/// As `openssl rand -base64 32` writes it, with its `=` or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Names a key inside a seal: the beginning of SHA-256 of its name, so that every seal has the same
/// length and no client is told what keys are called.
pub(super) type Tag = [u8; 4];

/// One key of a ring. Its bytes are overwritten when it is dropped.
pub(super) struct SealingKey {
    id: String,
    tag: Tag,
    seals_from: Timestamp,
    bytes: Zeroizing<[u8; KEY]>,
}

impl SealingKey {
    fn new(id: &str, bytes: Zeroizing<[u8; KEY]>, seals_from: Timestamp) -> Self {
        let digest = Sha256::digest(id.as_bytes());
        let mut tag = Tag::default();
        tag.copy_from_slice(&digest[..size_of::<Tag>()]);
        Self { id: id.to_owned(), tag, seals_from, bytes }
    }

    pub(super) fn tag(&self) -> &Tag {
        &self.tag
    }

    pub(super) fn bytes(&self) -> &[u8; KEY] {
        &self.bytes
    }
}

/// The keys of one moment.
pub(super) struct Keys(Vec<SealingKey>);

impl Keys {
    /// The key that seals at `now`: of those that seal already the latest, of two with the same
    /// date the later in the file. Where none does yet, the one that will first, for nodes whose
    /// clocks are behind have to seal too.
    pub(super) fn sealing(&self, now: Timestamp) -> Option<&SealingKey> {
        let due = self.0.iter().filter(|key| key.seals_from <= now);
        let latest = due.max_by_key(|key| key.seals_from);
        latest.or_else(|| self.0.iter().min_by_key(|key| key.seals_from))
    }

    /// The key that a seal names.
    pub(super) fn named(&self, tag: &Tag) -> Option<&SealingKey> {
        self.0.iter().find(|key| key.tag == *tag)
    }
}

/// Keys that seal sessions, the same on all nodes. Clones are the same ring.
///
/// One key seals; all of them open. To change keys without signing anybody out: add the new key
/// with a date by which every node has it; later, when the longest idle timeout has passed after
/// that date, remove the old one. Sessions in use have been sealed anew by then, because every use
/// that is written down is a new seal. What an old key has sealed is refused from the moment of its
/// removal: so is everything that somebody who stole it could seal.
///
/// # The key file
///
/// One key a line: its name, 32 random bytes as base64, and from when on it seals (a date, or a date
/// and a time of day, UTC); without that it has always sealed. Of those that seal already the latest
/// does; of two with the same date the later line. Lines that are empty or begin with `#` say
/// nothing.
///
/// ```text
/// # name   key                            seals from
/// 2026-06  (openssl rand -base64 32)
/// 2026-12  (openssl rand -base64 32)      2026-12-01T06:00:00Z
/// ```
///
/// The file is a secret: whoever reads it can make sessions of any user. [`KeyRing::read`] wants it
/// to be its owner's alone. Keys are never made of passwords.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<RwLock<Arc<Keys>>>,
}

/// What an application's own seals are bound to where sessions are bound to a cookie.
const NO_CARRIER: &str = "text";

impl KeyRing {
    fn of(keys: Vec<SealingKey>) -> Self {
        Self { keys: Arc::new(RwLock::new(Arc::new(Keys(keys)))) }
    }

    /// A ring with one new key that nobody else has: what it seals, no other process opens, nor
    /// this one after a restart.
    pub fn generate() -> Self {
        let key = Zeroizing::new(random());
        Self::of(vec![SealingKey::new("generated", key, Timestamp::EPOCH)])
    }

    /// A new line for a key file: a new key called `id`, that has always sealed.
    ///
    /// # Errors
    /// Where `id` cannot name a key.
    pub fn new_line(id: &str) -> Result<Zeroizing<String>, BadKeys> {
        if !is_id(id) {
            return Err(BadKeys::Line { line: 1, why: BAD_ID });
        }
        let key: Zeroizing<[u8; KEY]> = Zeroizing::new(random());
        let mut text = Zeroizing::new(String::with_capacity(MOST_ID + 2 + 2 * KEY));
        text.push_str(id);
        text.push(' ');
        general_purpose::STANDARD.encode_string(key.as_slice(), &mut text);
        text.push('\n');
        Ok(text)
    }

    /// Reads the text of a key file: for keys that come from elsewhere than a file.
    ///
    /// # Errors
    /// Where a line is no key, two keys have one name, or there is none. Errors name the line, and
    /// never what is in it.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        let mut keys: Vec<SealingKey> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let bad = |why| BadKeys::Line { line: number + 1, why };
            let Some(key) = parse_line(line).map_err(bad)? else {
                continue;
            };
            if keys.iter().any(|other| other.tag == key.tag) {
                return Err(bad("its name is that of another key, or too like it: choose another"));
            }
            if keys.iter().any(|other| other.bytes == key.bytes) {
                return Err(bad("another line has the same key: make a new one"));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err(BadKeys::None),
            found if found > MOST_KEYS => Err(BadKeys::TooMany { found }),
            _ => Ok(Self::of(keys)),
        }
    }

    /// Reads a key file. On Unix nobody but its owner may have any right to it; read a file that
    /// others share yourself, and give its text to [`KeyRing::parse`].
    ///
    /// # Errors
    /// As [`KeyRing::parse`], and where the file cannot be read or is open to others.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, BadKeys> {
        // One handle: what was checked is what is read.
        let file = File::open(path)?;
        check_mode(&file)?;
        // All at once: what a growing list leaves behind would not be wiped.
        let room = usize::try_from(MOST_FILE + 1).unwrap_or(0);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        file.take(MOST_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_FILE {
            return Err(BadKeys::Line { line: 1, why: "the file has more than 64 KiB" });
        }
        match str::from_utf8(&bytes) {
            Ok(text) => Self::parse(text),
            Err(_) => Err(BadKeys::Line { line: 1, why: "the file is not text" }),
        }
    }

    /// Takes the keys of `other` in place of its own, on all clones: for new keys without a restart.
    /// What is being sealed or opened at the moment still has the old ones.
    pub fn replace(&self, other: &Self) {
        let keys = other.current();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// The names of the keys, in the file's order.
    pub fn ids(&self) -> Vec<String> {
        self.current().0.iter().map(|key| key.id.clone()).collect()
    }

    /// The name of the key that seals at `now`.
    pub fn sealing(&self, now: Timestamp) -> Option<String> {
        self.current().sealing(now).map(|key| key.id.clone())
    }

    /// Seals some bytes of an application's own, for `purpose`: text that nobody else can read or
    /// make, for a cookie or an address. `None` for what is far too long.
    ///
    /// ```
    /// use cloakroom_core::keeping::KeyRing;
    /// use cloakroom_core::{Clock, SystemClock};
    ///
    /// let ring = KeyRing::generate();
    /// let text = ring.seal("visitor", b"17", SystemClock.now()).unwrap();
    /// assert_eq!(ring.open("visitor", &text).as_deref(), Some(&b"17"[..]));
    /// assert_eq!(ring.open("coupon", &text), None);
    /// ```
    pub fn seal(&self, purpose: &str, plain: &[u8], now: Timestamp) -> Option<String> {
        seal::seal(&self.current(), BoundTo { purpose, carrier: NO_CARRIER }, plain, now)
    }

    /// Opens what [`KeyRing::seal`] has made for the same purpose; `None` for everything else. How
    /// long it counts is for what was sealed to say.
    pub fn open(&self, purpose: &str, text: &str) -> Option<Vec<u8>> {
        seal::open(&self.current(), BoundTo { purpose, carrier: NO_CARRIER }, text.as_bytes())
    }

    /// The keys of this moment.
    pub(super) fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.ids()).finish()
    }
}

/// Keys that cannot be used. Never says what a line holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadKeys {
    /// A line is no key.
    #[error("line {line} of the key file cannot be used: {why}")]
    Line {
        /// Which, from 1 on.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no key.
    #[error("the key file has no key; a line is a name, a space, and `openssl rand -base64 32`")]
    None,
    /// There are too many.
    #[error("the key file has {found} keys; {MOST_KEYS} are the most: remove old ones")]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// Others than its owner have a right to the file.
    #[error("the key file's mode is {mode:o}; others must have no right to it: chmod 600")]
    OpenToOthers {
        /// Its mode, without the file's type.
        mode: u32,
    },
    /// The file cannot be read.
    #[error("the key file cannot be read")]
    Unreadable(#[from] io::Error),
}

const BAD_ID: &str = "a name has 1 to 32 letters, digits, `.`, `_` or `-`";

fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MOST_ID).contains(&id.len()) && id.bytes().all(plain)
}

/// The key of a line; `None` where it says nothing.
fn parse_line(line: &str) -> Result<Option<SealingKey>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let (id, key, date) = (words.next().unwrap_or_default(), words.next(), words.next());
    if !is_id(id) {
        return Err(BAD_ID);
    }
    let key = parse_key(key.ok_or("there is no key behind the name")?)?;
    let seals_from = match date {
        Some(date) => parse_date(date)
            .ok_or("the date is none: write 2026-12-01 or 2026-12-01T06:00:00Z, in UTC")?,
        None => Timestamp::EPOCH,
    };
    match words.next() {
        Some(_) => Err("there is more behind the date"),
        None => Ok(Some(SealingKey::new(id, key, seals_from))),
    }
}

fn parse_key(text: &str) -> Result<Zeroizing<[u8; KEY]>, &'static str> {
    const BAD: &str = "the key is not 32 bytes as base64: make one with openssl rand -base64 32";
    // What is longer does not fit, and is refused.
    let mut bytes = Zeroizing::new([0; KEY + 4]);
    let written = BASE64.decode_slice(text, &mut *bytes);
    let mut key = Zeroizing::new([0; KEY]);
    match written {
        Ok(KEY) => key.copy_from_slice(&bytes[..KEY]),
        _ => return Err(BAD),
    }
    match key.iter().all(|byte| *byte == key[0]) {
        true => Err("the key is not random: make one with openssl rand -base64 32"),
        false => Ok(key),
    }
}

/// A day, or a second of one, in UTC (RFC 3339 with `Z`).
fn parse_date(text: &str) -> Option<Timestamp> {
    let (day, time) = match text.split_once('T') {
        Some((day, time)) => (day, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month_index = usize::try_from(month.checked_sub(1)?).ok()?;
    let length = *lengths.get(month_index)?;
    if year < 1970 || !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let before = year - 1;
    let leap_days =
        (before / 4 - before / 100 + before / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
    let days =
        (year - 1970) * 365 + leap_days + lengths[..month_index].iter().sum::<u64>() + day - 1;
    Some(Timestamp::from_millis((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000))
}

/// Three numbers of just so many digits.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = plain.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(unix)]
fn check_mode(file: &File) -> Result<(), BadKeys> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(BadKeys::OpenToOthers { mode }),
    }
}

/// Elsewhere rights are no bits of a mode.
#[cfg(not(unix))]
fn check_mode(_: &File) -> Result<(), BadKeys> {
    Ok(())
}

#[cfg(test)]
mod tests;
