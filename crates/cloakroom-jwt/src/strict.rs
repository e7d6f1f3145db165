//! Reads base64url and JSON so that everything has one spelling and one meaning.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A JSON object's members.
pub(crate) type Object = BTreeMap<String, Value>;

/// Writes base64url without padding (RFC 7515, section 2).
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url; `None` with padding, with bits that mean nothing, or with anything else that
/// [`encode`] does not write.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Reads a JSON object; `None` for anything else, for bytes that follow it, and where a name
/// comes twice in it or in any object inside it.
///
/// Which of two members counts is decided differently by different readers (RFC 8725, section
/// 2.4), and so may be what one checks and what the other uses.
pub(crate) fn object(bytes: &[u8]) -> Option<Object> {
    match serde_json::from_slice(bytes).ok()? {
        Once(Value::Object(members)) => Some(members.into_iter().collect()),
        Once(_) => None,
    }
}

/// A JSON value in whose objects every name comes once.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON in whose objects every name comes once")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Once(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Once(value))) = members.next_entry::<String, Once>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_reads_as_itself() {
        let text = br#"{"a":null,"b":[true,-1,1.5,"x",{"c":18446744073709551615}],"\u0064":"\n"}"#;
        let read = Value::Object(object(text).unwrap().into_iter().collect());
        assert_eq!(read, serde_json::from_slice::<Value>(text).unwrap());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
            r#"{"a":1}{"#,
            r#"{"a":1}x"#,
            r#"{"a":1,}"#,
            r#"{"a":NaN}"#,
            r#"{"a":1e999}"#,
            "[]",
            "null",
            "",
        ] {
            assert_eq!(object(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}"), None);
        assert_eq!(object(&b"{\"a\":".repeat(100_000)), None);
        assert_eq!(object(&[b'['; 100_000]), None);
    }

    #[test]
    fn base64url_has_one_spelling() {
        assert_eq!(decode("AA"), Some(vec![0]));
        for bad in ["A", "AB", "AA==", "A A", "AA\n", "+A", "/A", "é"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
