//! Reading and editing a session's attributes.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::edits::{self, Edits};
use super::view::View;
use super::{RESERVED, Session};
use crate::commit::Room;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::policy::Policy;
use crate::slot::{self, Slot};

impl Session {
    /// The names of the attributes, this request's edits included.
    pub fn names(&self) -> Vec<String> {
        let state = self.state();
        let view = &state.view;
        let stored = view.record().into_iter().flat_map(|record| record.fields.keys());
        let stored = stored.chain(view.edits.names());
        let mut names: Vec<String> = stored.map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| {
            !name.starts_with(RESERVED) && view.edits.shown(name, view.record()).is_some()
        });
        names
    }

    /// Reads an attribute. One that no longer decodes as `T` reads as absent, and is an
    /// [`Event::Undecodable`]; [`Session::try_get`] makes it an error.
    pub fn get<T: DeserializeOwned>(&self, slot: Slot<T>) -> Result<Option<T>> {
        match self.try_get(slot) {
            Err(Error::Undecodable { name, .. }) => {
                self.inner.sessions.tell(&Event::Undecodable { key: self.key(), name });
                Ok(None)
            }
            read => read,
        }
    }

    /// Reads an attribute; [`Error::Undecodable`] where its value is not a `T`.
    pub fn try_get<T: DeserializeOwned>(&self, slot: Slot<T>) -> Result<Option<T>> {
        self.check_name(slot.name())?;
        let shown = {
            let state = self.state();
            state.view.edits.shown(slot.name(), state.view.record()).cloned()
        };
        shown.map(|bytes| slot::decode(slot.name(), &bytes)).transpose()
    }

    /// Writes an attribute, whatever it is: the last writer wins.
    pub fn set<T: Serialize>(&self, slot: Slot<T>, value: &T) -> Result<()> {
        self.check_name(slot.name())?;
        let policy = self.inner.sessions.policy();
        let bytes = slot::encode(slot.name(), value)?;
        let bytes = within_attribute(slot.name(), bytes, policy.attribute_bytes)?;
        let name = slot.into_name();
        self.edit(|view| {
            self.edit_field(view, &name, policy.room, |edits| edits.put(name.clone(), Some(bytes)))
        })?
    }

    /// Removes an attribute.
    pub fn remove<T>(&self, slot: Slot<T>) -> Result<()> {
        self.check_name(slot.name())?;
        self.edit(|view| view.edits.put(slot.into_name(), None))
    }

    /// Changes an attribute from what it is, or from the default where it is absent. `change` is
    /// run again on a newer value where another request came first, so that no update is lost;
    /// it must do nothing else. An attribute that does not decode is an error, not lost.
    pub fn update<T, F>(&self, slot: Slot<T>, change: F) -> Result<()>
    where
        T: Default + Serialize + DeserializeOwned + 'static,
        F: Fn(&mut T) + Send + Sync + 'static,
    {
        self.check_name(slot.name())?;
        let name = slot.into_name();
        let Policy { attribute_bytes: most, room, .. } = *self.inner.sessions.policy();
        let update: edits::Update = {
            let name = name.clone();
            Arc::new(move |before| changed(&name, before, most, &change).map(|((), bytes)| bytes))
        };
        loop {
            let before = {
                let state = self.state();
                state.view.edits.shown(&name, state.view.record()).cloned()
            };
            let shown = update(before.as_ref())?;
            // The closure ran outside the lock: it counts if the value is still what it was given.
            let done = self.edit(|view| {
                (view.edits.shown(&name, view.record()) == before.as_ref()).then(|| {
                    let update = Arc::clone(&update);
                    self.edit_field(view, &name, room, |edits| {
                        edits.update(name.clone(), update, shown);
                    })
                })
            })?;
            if let Some(done) = done {
                return done;
            }
        }
    }

    /// Changes an attribute and commits, now: this edit and all before it. Returns what the run of
    /// `change` returned that was applied. It may run several times; it must do nothing else.
    pub async fn transact<T, R>(
        &self,
        slot: Slot<T>,
        change: impl Fn(&mut T) -> R + Send + Sync,
    ) -> Result<R>
    where
        T: Default + Serialize + DeserializeOwned,
        R: Send,
    {
        self.check_name(slot.name())?;
        self.edit(|_| ())?;
        let most = self.inner.sessions.policy().attribute_bytes;
        let mut applied = None;
        let mut compute = |before: Option<&Bytes>| {
            let (result, bytes) = changed(slot.name(), before, most, &change)?;
            applied = Some(result);
            Ok(bytes)
        };
        let driven = self.inner.sessions.drive(self, Some((slot.name(), &mut compute)));
        driven.await?.done()?;
        applied.ok_or(Error::OutcomeUnknown)
    }

    /// Edits one field, unless the session would then be more than it may.
    fn edit_field(
        &self,
        view: &mut View,
        name: &str,
        room: Room,
        edit: impl FnOnce(&mut Edits),
    ) -> Result<()> {
        let before = self.has_little_room().then(|| view.edits.field(name));
        view.edit_field(name, room, edit)?;
        let Some(before) = before else {
            return Ok(());
        };
        self.check_room(view).inspect_err(|_| view.edits.restore_field(name, before))
    }

    /// Whether every edit has to be checked against what the client can keep.
    pub(super) fn has_little_room(&self) -> bool {
        self.sessions().keeping().has_little_room()
    }

    /// Checks what has been edited against what the client can keep.
    pub(super) fn check_room(&self, view: &View) -> Result<()> {
        let sessions = self.sessions();
        sessions.keeping().check(view, sessions.policy(), sessions.now())
    }

    fn check_name(&self, name: &str) -> Result<()> {
        let most = self.inner.sessions.policy().name_bytes;
        let why = match name {
            "" => "is empty",
            name if name.len() > most => "is longer than the policy's `name_bytes`",
            name if name.starts_with(RESERVED) => "begins with `@`, which is reserved",
            _ => return Ok(()),
        };
        Err(Error::BadName { name: name.chars().take(32).collect(), why })
    }
}

/// Runs `change` on a stored value, or on the default; its result, and the new value.
fn changed<T, R>(
    name: &str,
    before: Option<&Bytes>,
    most: usize,
    change: &impl Fn(&mut T) -> R,
) -> Result<(R, Bytes)>
where
    T: Default + Serialize + DeserializeOwned,
{
    let mut value = match before {
        Some(bytes) => slot::decode(name, bytes)?,
        None => T::default(),
    };
    let result = change(&mut value);
    Ok((result, within_attribute(name, slot::encode(name, &value)?, most)?))
}

fn within_attribute(name: &str, bytes: Bytes, most: usize) -> Result<Bytes> {
    if bytes.len() > most {
        let name = name.to_owned();
        return Err(Error::AttributeTooLarge { name, bytes: bytes.len(), most });
    }
    Ok(bytes)
}
