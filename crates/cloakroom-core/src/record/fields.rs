//! A record's attributes: few, read often, kept for as long as a cache keeps the record. So they
//! lie in one sorted piece of memory, not in a tree.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::Field;

/// Fields by their names, in the names' order. A clone shares the names.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(Arc<str>, Field)>);

impl Fields {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(found, _)| (**found).cmp(name))
    }

    /// The field called `name`.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.find(name).ok().map(|at| &self.0[at].1)
    }

    /// Whether there is a field called `name`.
    pub fn contains_key(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// Puts a field, and returns the one that it replaces.
    pub fn insert(
        &mut self,
        name: impl AsRef<str> + Into<Arc<str>>,
        field: Field,
    ) -> Option<Field> {
        match self.find(name.as_ref()) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, field)),
            Err(at) => {
                self.0.insert(at, (name.into(), field));
                None
            }
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Field> {
        self.find(name).ok().map(|at| self.0.remove(at).1)
    }

    /// The same fields, each with memory of its own: what was read holds on to all that was read.
    pub(crate) fn apart(&self) -> Self {
        let alone = |field: &Field| Field {
            version: field.version,
            bytes: Bytes::copy_from_slice(&field.bytes),
        };
        Self(self.0.iter().map(|(name, field)| (name.clone(), alone(field))).collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and fields, in the names' order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Field)> {
        self.0.iter().map(|(name, field)| (&**name, field))
    }

    /// The names, in their order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// The fields, in their names' order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Field> {
        self.iter().map(|(_, field)| field)
    }
}

impl<N: Into<Arc<str>>> FromIterator<(N, Field)> for Fields {
    /// Of several with one name the last stays.
    fn from_iter<I: IntoIterator<Item = (N, Field)>>(fields: I) -> Self {
        let mut all: Vec<(Arc<str>, Field)> =
            fields.into_iter().map(|(name, field)| (name.into(), field)).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self(all)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::record::CommitId;

    fn field(byte: u8) -> Field {
        Field { version: CommitId::random(), bytes: vec![byte].into() }
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec(("[a-d]{1,2}", any::<Option<u8>>()), 0..40)) {
            let (mut fields, mut map) = (Fields::new(), BTreeMap::new());
            for (name, byte) in &steps {
                let (ours, theirs) = match byte.map(field) {
                    Some(field) => (fields.insert(name.as_str(), field.clone()), map.insert(name.clone(), field)),
                    None => (fields.remove(name), map.remove(name)),
                };
                prop_assert_eq!(ours, theirs);
                prop_assert_eq!(fields.get(name), map.get(name));
            }
            prop_assert!(fields.iter().eq(map.iter().map(|(name, field)| (name.as_str(), field))));
        }

        #[test]
        fn it_is_collected_like_a_map(pairs in prop::collection::vec(("[a-d]{1,2}", any::<u8>()), 0..40)) {
            let pairs: Vec<_> = pairs.into_iter().map(|(name, byte)| (name, field(byte))).collect();
            let fields: Fields = pairs.iter().cloned().collect();
            let map: BTreeMap<_, _> = pairs.into_iter().collect();
            prop_assert!(fields.iter().eq(map.iter().map(|(name, field)| (name.as_str(), field))));
        }
    }
}
