//! What a request wants of its session, kept so that it can be replayed on a newer record.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Login;
use crate::commit::{Change, Expect};
use crate::error::Result;
use crate::event::Ended;
use crate::record::Record;

/// Computes a field's value from the one before.
pub(crate) type Update = Arc<dyn Fn(Option<&Bytes>) -> Result<Bytes> + Send + Sync>;

#[derive(Clone)]
enum Edit {
    Put(Bytes),
    Remove,
    Update(Update),
}

/// One field's edits, in their order, and what they amount to on the present base.
#[derive(Clone)]
pub(crate) struct FieldEdits {
    edits: Vec<(u64, Edit)>,
    shown: Option<Bytes>,
}

/// A request's edits. Each is numbered, so that those of a finished commit can be told from those
/// that came while it was under way.
#[derive(Clone, Default)]
pub(crate) struct Edits {
    last: u64,
    fields: BTreeMap<Cow<'static, str>, FieldEdits>,
    login: Option<(u64, Login)>,
    ending: Option<(u64, Ended)>,
    idle: Option<(u64, Option<Duration>)>,
    lifetime: Option<(u64, Option<Duration>)>,
}

impl fmt::Debug for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edits").field("fields", &self.fields.keys()).finish_non_exhaustive()
    }
}

impl Edits {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The number of the newest edit.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// The field's value with the edits applied to `base`.
    pub(crate) fn shown<'a>(&'a self, name: &str, base: Option<&'a Record>) -> Option<&'a Bytes> {
        match self.fields.get(name) {
            Some(field) => field.shown.as_ref(),
            None => base?.fields.get(name).map(|field| &field.bytes),
        }
    }

    /// Replaces the field whatever it is, or removes it.
    pub(crate) fn put(&mut self, name: impl Into<Cow<'static, str>>, value: Option<Bytes>) {
        let edit = value.clone().map_or(Edit::Remove, Edit::Put);
        let edits = vec![(self.next(), edit)];
        self.fields.insert(name.into(), FieldEdits { edits, shown: value });
    }

    /// Adds an update whose result on the present base is `shown`.
    pub(crate) fn update(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        update: Update,
        shown: Bytes,
    ) {
        let number = self.next();
        let field = self.fields.entry(name.into());
        let field = field.or_insert_with(|| FieldEdits { edits: Vec::new(), shown: None });
        field.edits.push((number, Edit::Update(update)));
        field.shown = Some(shown);
    }

    pub(crate) fn log_in(&mut self, login: Login) {
        self.login = Some((self.next(), login));
    }

    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref().map(|(_, login)| login)
    }

    pub(crate) fn end(&mut self, reason: Ended) {
        self.ending = Some((self.next(), reason));
    }

    pub(crate) fn ending(&self) -> Option<Ended> {
        self.ending.map(|(_, reason)| reason)
    }

    pub(crate) fn set_idle(&mut self, idle: Option<Duration>) {
        self.idle = Some((self.next(), idle));
    }

    pub(crate) fn idle(&self) -> Option<Option<Duration>> {
        self.idle.map(|(_, idle)| idle)
    }

    pub(crate) fn set_lifetime(&mut self, lifetime: Option<Duration>) {
        self.lifetime = Some((self.next(), lifetime));
    }

    pub(crate) fn lifetime(&self) -> Option<Option<Duration>> {
        self.lifetime.map(|(_, lifetime)| lifetime)
    }

    /// One field's edits, to be restored where one more turns out to be too much.
    pub(crate) fn field(&self, name: &str) -> Option<FieldEdits> {
        self.fields.get(name).cloned()
    }

    pub(crate) fn restore_field(&mut self, name: &str, before: Option<FieldEdits>) {
        match before {
            Some(before) => self.fields.insert(name.to_owned().into(), before),
            None => self.fields.remove(name),
        };
    }

    /// The fields that are written or removed.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(|name| &**name)
    }

    /// Whether there is anything to commit.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
            && self.login.is_none()
            && self.ending.is_none()
            && self.idle.is_none()
            && self.lifetime.is_none()
    }

    /// Whether some field is computed from what was read of it, so that another writer can come
    /// first.
    pub(crate) fn builds_on_what_was_read(&self) -> bool {
        let first = |field: &FieldEdits| matches!(field.edits.first(), Some((_, Edit::Update(_))));
        self.fields.values().any(first)
    }

    /// Whether some field has a value: what makes a new session worth storing.
    pub(crate) fn writes(&self) -> bool {
        self.fields.values().any(|field| field.shown.is_some())
    }

    /// How many attributes there would be, and of how many bytes, names included.
    pub(crate) fn size_on(&self, base: Option<&Record>) -> (usize, usize) {
        let untouched = base
            .into_iter()
            .flat_map(|record| record.fields.iter())
            .filter(|(name, _)| !self.fields.contains_key(*name))
            .map(|(name, field)| name.len() + field.bytes.len());
        let edited = self
            .fields
            .iter()
            .filter_map(|(name, field)| Some(name.len() + field.shown.as_ref()?.len()));
        untouched.chain(edited).fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
    }

    /// The edits as a commit's changes. A field that is only updated must be as it was read.
    pub(crate) fn changes(&self, base: Option<&Record>) -> BTreeMap<String, Change> {
        // Not collected: that would sort in memory of its own first.
        let mut changes = BTreeMap::new();
        for (name, field) in &self.fields {
            let change = Change { to: field.shown.clone(), expect: self.expect(name, base) };
            changes.insert(name.to_string(), change);
        }
        changes
    }

    /// What a commit that computes `name` from what is shown has to expect of the stored field.
    pub(crate) fn expect(&self, name: &str, base: Option<&Record>) -> Expect {
        let replaced = self.fields.get(name).and_then(|field| field.edits.first());
        match replaced {
            Some((_, Edit::Put(_) | Edit::Remove)) => Expect::Any,
            Some((_, Edit::Update(_))) | None => {
                Expect::unchanged(base.and_then(|record| record.fields.get(name)))
            }
        }
    }

    /// Takes all edits out; later ones are numbered from where these ended.
    pub(crate) fn take(&mut self) -> Self {
        let last = self.last;
        std::mem::replace(self, Self { last, ..Self::default() })
    }

    /// Drops the edits up to number `done`.
    pub(crate) fn forget(&mut self, done: u64) {
        self.login.take_if(|(number, _)| *number <= done);
        self.ending.take_if(|(number, _)| *number <= done);
        self.idle.take_if(|(number, _)| *number <= done);
        self.lifetime.take_if(|(number, _)| *number <= done);
        for field in self.fields.values_mut() {
            field.edits.retain(|(number, _)| *number > done);
        }
        self.fields.retain(|_, field| !field.edits.is_empty());
    }

    /// Drops the edits up to number `done`, which are part of `base`, and replays the rest on it.
    pub(crate) fn rebased(mut self, done: u64, base: Option<&Record>) -> Result<Self> {
        self.forget(done);
        for (name, field) in &mut self.fields {
            let stored = base.and_then(|record| record.fields.get(name));
            let mut value = stored.map(|field| field.bytes.clone());
            for (_, edit) in &field.edits {
                value = match edit {
                    Edit::Put(bytes) => Some(bytes.clone()),
                    Edit::Remove => None,
                    Edit::Update(update) => Some(update(value.as_ref())?),
                };
            }
            field.shown = value;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CommitId, Field};
    use crate::time::Timestamp;

    fn base(n: u8) -> Record {
        let mut record = Record::new(None, Timestamp::EPOCH);
        let field = Field { version: CommitId::random(), bytes: vec![n].into() };
        record.fields.insert("n".to_owned(), field);
        record
    }

    fn add(n: u8) -> Update {
        Arc::new(move |before| Ok(vec![before.map_or(0, |bytes| bytes[0]) + n].into()))
    }

    fn updated(edits: &mut Edits, n: u8, on: &Record) {
        let shown = add(n)(edits.shown("n", Some(on))).unwrap();
        edits.update("n", add(n), shown);
    }

    #[test]
    fn updates_are_replayed_on_a_newer_base_and_expect_it() {
        let (old, new) = (base(1), base(10));
        let mut edits = Edits::default();
        updated(&mut edits, 2, &old);
        updated(&mut edits, 3, &old);
        assert_eq!(edits.changes(Some(&old))["n"].to.as_deref(), Some(&[6][..]));
        let edits = edits.rebased(0, Some(&new)).unwrap();
        let change = &edits.changes(Some(&new))["n"];
        assert_eq!(change.to.as_deref(), Some(&[15][..]));
        assert_eq!(change.expect, Expect::Version(new.fields.get("n").unwrap().version));
    }

    #[test]
    fn a_put_expects_nothing_and_what_follows_it_builds_on_it() {
        let old = base(1);
        let mut edits = Edits::default();
        updated(&mut edits, 2, &old);
        edits.put("n", Some(vec![50].into()));
        updated(&mut edits, 1, &old);
        let change = &edits.changes(Some(&old))["n"];
        assert_eq!((change.to.as_deref(), change.expect), (Some(&[51][..]), Expect::Any));
    }

    #[test]
    fn only_edits_newer_than_the_commit_are_left() {
        let old = base(1);
        let mut edits = Edits::default();
        updated(&mut edits, 2, &old);
        let done = edits.last();
        updated(&mut edits, 5, &old);
        let left = edits.rebased(done, Some(&base(3))).unwrap();
        assert_eq!(left.shown("n", None).map(|bytes| bytes[0]), Some(8));
        assert!(left.clone().rebased(left.last(), Some(&old)).unwrap().is_empty());
    }

    #[test]
    fn sizes_count_names_and_forget_what_is_removed() {
        let old = base(1);
        let mut edits = Edits::default();
        assert_eq!(edits.size_on(Some(&old)), (1, 2));
        edits.put("abc", Some(vec![0; 5].into()));
        assert_eq!(edits.size_on(Some(&old)), (2, 10));
        edits.put("n", None);
        assert_eq!(edits.size_on(Some(&old)), (1, 8));
    }
}
