//! What a server says of itself, and whether sessions are safe with it.

use cloakroom_core::Timestamp;
use mongodb::bson::Document;

/// The oldest protocol that has every command used here: that of MongoDB 4.4.
const OLDEST: i32 = 9;

/// How servers are arranged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// One by itself, which tells nobody of changes.
    Alone,
    /// A replica set, or a router before several.
    Several,
}

/// What a server says to `hello`.
#[derive(Debug)]
pub(crate) struct About(Document);

impl About {
    pub(crate) const fn new(hello: Document) -> Self {
        Self(hello)
    }

    /// The version of the protocol, where it is too old.
    pub(crate) fn too_old(&self) -> Option<i32> {
        let wire = number(&self.0, "maxWireVersion").unwrap_or_default();
        let wire = i32::try_from(wire).unwrap_or(i32::MAX);
        (wire < OLDEST).then_some(wire)
    }

    pub(crate) fn form(&self) -> Form {
        let is_router = matches!(self.0.get_str("msg"), Ok("isdbgrid"));
        match is_router || self.0.contains_key("setName") {
            true => Form::Several,
            false => Form::Alone,
        }
    }

    /// What time it is there.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        let millis = self.0.get_datetime("localTime").ok()?.timestamp_millis();
        u64::try_from(millis).ok().map(Timestamp::from_millis)
    }
}

/// A number, of whichever of its types a server uses.
fn number(document: &Document, name: &str) -> Option<i64> {
    document.get_i64(name).ok().or_else(|| document.get_i32(name).ok().map(i64::from))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, doc};

    use super::*;

    #[test]
    fn a_server_before_4_4_is_too_old() {
        assert_eq!(About::new(doc! { "maxWireVersion": 8 }).too_old(), Some(8));
        assert_eq!(About::new(doc! {}).too_old(), Some(0));
        assert_eq!(About::new(doc! { "maxWireVersion": 9 }).too_old(), None);
        assert_eq!(About::new(doc! { "maxWireVersion": 27_i64 }).too_old(), None);
    }

    #[test]
    fn who_tells_of_changes_is_known() {
        assert_eq!(About::new(doc! {}).form(), Form::Alone);
        assert_eq!(About::new(doc! { "setName": "rs0" }).form(), Form::Several);
        assert_eq!(About::new(doc! { "msg": "isdbgrid" }).form(), Form::Several);
    }

    #[test]
    fn the_time_is_that_of_the_server() {
        let about = About::new(doc! { "localTime": DateTime::from_millis(5) });
        assert_eq!(about.time(), Some(Timestamp::from_millis(5)));
        assert_eq!(About::new(doc! { "localTime": DateTime::from_millis(-5) }).time(), None);
    }
}
