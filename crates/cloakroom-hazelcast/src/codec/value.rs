//! What is in a place as a JSON value, so that members can look for what is due, and people at what
//! is there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use cloakroom_core::store::{Label, Place};

use super::data;

/// Under which names the kind and the instants of a label stand.
pub(crate) const KIND: &str = "kind";
pub(crate) const ALIVE: &str = "alive";
pub(crate) const OVER: &str = "over";
pub(crate) const LAPSES: &str = "lapses";
/// What stands between the label and the content.
const CONTENT: &str = r#","bytes":""#;
const TAIL: &str = r#""}"#;

/// What is kept for `bytes` in a place: always the same for the same bytes.
pub(crate) fn seal(place: Place, bytes: &[u8]) -> Bytes {
    let label = Label::of(bytes).unwrap_or_default();
    let name = place.to_string();
    let kind = name.split('-').next().unwrap_or_default();
    let [alive, over, lapses] = [label.alive_until, label.over_from, label.lapses_at];
    let (alive, over, lapses) = (alive.millis(), over.millis(), lapses.millis());
    let mut json = format!(
        r#"{{"{KIND}":"{kind}","{ALIVE}":{alive},"{OVER}":{over},"{LAPSES}":{lapses}{CONTENT}"#
    );
    STANDARD_NO_PAD.encode_string(bytes, &mut json);
    json.push_str(TAIL);
    data::of_json(&json)
}

/// A value that is nobody's, and that members can look into all the same.
pub(crate) fn probe() -> Bytes {
    data::of_json(r#"{"kind":"probe"}"#)
}

/// The bytes that are kept in a value; `None` where it is none of ours.
pub(crate) fn open(value: &[u8]) -> Option<Bytes> {
    let (_, content) = data::json(value)?.split_once(CONTENT)?;
    STANDARD_NO_PAD.decode(content.strip_suffix(TAIL)?).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use cloakroom_core::{Key, token::Kind};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_reads_back_as_its_bytes(bytes: Vec<u8>) {
            for place in [Place::Record(Key::random(Kind::Flow)), Place::of_principal("alice")] {
                let opened = open(&seal(place, &bytes)).map(|opened| opened.to_vec());
                prop_assert_eq!(opened, Some(bytes.clone()));
            }
        }

        #[test]
        fn what_is_no_value_is_none(bytes: Vec<u8>) {
            prop_assert_eq!(open(&bytes), None);
        }
    }

    #[test]
    fn a_probe_is_nothing_of_ours() {
        assert_eq!(open(&probe()), None);
    }

    #[test]
    fn a_value_says_what_it_is() {
        let place = Place::Record(Key::random(Kind::Session));
        let value = seal(place, b"abc");
        let never = cloakroom_core::Timestamp::MAX.millis();
        let json =
            format!(r#"{{"kind":"s","alive":0,"over":{never},"lapses":{never},"bytes":"YWJj"}}"#);
        assert_eq!(data::json(&value), Some(&json[..]));
    }
}
