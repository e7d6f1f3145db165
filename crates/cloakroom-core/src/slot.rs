//! An attribute's name and type, fixed together.

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// An attribute: its name and the type of its value.
///
/// ```
/// use cloakroom_core::Slot;
///
/// const VISITS: Slot<u64> = Slot::new("visits");
/// let untyped: Slot<serde_json::Value> = Slot::named("anything".to_owned());
/// ```
pub struct Slot<T> {
    name: Cow<'static, str>,
    of: PhantomData<fn() -> T>,
}

impl<T> Slot<T> {
    /// An attribute with a name known beforehand.
    pub const fn new(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), of: PhantomData }
    }

    /// An attribute whose name is made at run time.
    pub const fn named(name: String) -> Self {
        Self { name: Cow::Owned(name), of: PhantomData }
    }

    /// The attribute's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn into_name(self) -> Cow<'static, str> {
        self.name
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot<{}>({})", type_name::<T>(), self.name)
    }
}

/// Reads a stored value. The error tells the place, never the value.
pub(crate) fn decode<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::Undecodable {
        name: name.to_owned(),
        expected: type_name::<T>(),
        line: error.line(),
        column: error.column(),
    })
}

/// Writes a value down.
pub(crate) fn encode<T: Serialize + ?Sized>(name: &str, value: &T) -> Result<Bytes> {
    match serde_json::to_vec(value) {
        Ok(bytes) => Ok(bytes.into()),
        Err(source) => Err(Error::Unencodable { name: name.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_does_not_decode_is_not_quoted() {
        let error = decode::<u64>("pin", br#""hunter2""#).unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(said.contains("pin") && said.contains("u64"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
