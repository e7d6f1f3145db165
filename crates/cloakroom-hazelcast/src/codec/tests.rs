//! What holds for all bytes: what we write is read back, and what anybody writes is read without a
//! panic.

use bytes::{BufMut, Bytes, BytesMut};
use cloakroom_core::store::Place;
use proptest::prelude::*;

use super::frame::{BEGIN, END, EVENT, FINAL, HEAD, MOST_BYTES, NULL, WHOLE};
use super::request::{self, Identity, In};
use super::{Decoder, Malformed, Message, Request, Uuid, answer, data, open, predicate};

/// Takes all messages that these bytes are, however they come in.
fn decode(bytes: &[u8], chunk: usize) -> Result<Vec<Message>, Malformed> {
    let (mut decoder, mut input, mut messages) = (Decoder::default(), BytesMut::new(), Vec::new());
    for some in bytes.chunks(chunk.max(1)) {
        input.extend_from_slice(some);
        while let Some(message) = decoder.next(&mut input)? {
            messages.push(message);
        }
    }
    Ok(messages)
}

/// Reads a message as everything that it could be.
fn read_as_everything(message: &Message) {
    let _ = answer::welcome(message);
    let _ = answer::truth(message);
    let _ =
        answer::value(message).map(|value| value.map(|value| (open(&value), data::long(&value))));
    let _ = answer::entries(message);
    let _ = answer::fetched(message).map(|fetched| answer::is_end(&fetched.pointers));
    let _ = answer::counts(message);
    let _ = answer::told(message);
    let _ = answer::check(message.clone(), message.kind().wrapping_sub(1) & 0xff_ffff);
    let _ = (message.correlation(), message.is_event(), format!("{message:?}"));
}

fn frame(flags: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_u32_le(u32::try_from(HEAD + content.len()).expect("it is short"));
    bytes.put_u16_le(flags);
    bytes.put_slice(content);
    bytes
}

/// Frames as members send them, and some as they never would.
fn frames() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    let flags = prop::sample::select(vec![0, 0, 0, BEGIN, END, NULL, BEGIN | END]);
    prop::collection::vec((flags, prop::collection::vec(any::<u8>(), 0..40)), 0..24)
}

/// The types of all answers and events that we read.
fn kinds() -> impl Strategy<Value = u32> {
    let events = [0, request::CLUSTER_VIEW + 2, request::INVALIDATIONS + 2];
    let answers = [request::GET + 1, request::METADATA + 1, request::AUTHENTICATION + 1];
    prop::sample::select(events.into_iter().chain(answers).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), chunk in 1_usize..50) {
        for message in decode(&bytes, chunk).unwrap_or_default() {
            read_as_everything(&message);
        }
        let _ = (open(&bytes), data::text(&bytes), data::long(&bytes), data::partition(&bytes, 271));
        let _ = answer::is_end(&bytes);
    }

    #[test]
    fn no_frames_cause_a_panic(kind in kinds(), first: Vec<u8>, frames in frames(), event: bool) {
        let mut head = kind.to_le_bytes().to_vec();
        head.extend(first);
        head.resize(head.len().max(12), 0);
        let mut bytes = frame(WHOLE | if event { EVENT } else { 0 }, &head);
        for (flags, content) in frames {
            bytes.extend(frame(flags, &content));
        }
        bytes.extend(frame(FINAL, b""));
        for message in decode(&bytes, 7).unwrap_or_default() {
            read_as_everything(&message);
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        texts in prop::collection::vec(".{0,20}", 0..5),
        number: i64,
        name: u128,
        correlation: i64,
        chunk in 1_usize..50,
    ) {
        let request = Request::new(request::GET + 1).byte(0).long(number).uuid(Uuid(name)).begin();
        let request = texts.iter().fold(request, |request, text| request.text(text));
        let bytes = request.end().text_or_null(None).finish(correlation);
        let messages = decode(&bytes, chunk)?;
        prop_assert_eq!(messages.len(), 1);
        prop_assert_eq!(messages[0].correlation(), correlation);
        let mut reader = messages[0].read();
        let mut fixed = reader.fixed()?;
        // A request has a partition where an answer has a count of backups.
        fixed.skip(4 + 8 + 4 + 1)?;
        prop_assert_eq!(fixed.long()?, number);
        prop_assert_eq!(fixed.uuid()?, Some(Uuid(name)));
        prop_assert_eq!(reader.list(|reader| reader.text().map(ToOwned::to_owned))?, texts);
        prop_assert_eq!(reader.bytes_or_null()?, None);
    }
}

#[test]
fn what_is_beyond_all_measure_is_refused_before_it_has_come() {
    let mut bytes = Vec::new();
    bytes.put_u32_le(u32::try_from(MOST_BYTES + 1).expect("it is a number"));
    bytes.put_u16_le(WHOLE | FINAL);
    assert!(decode(&bytes, 100).is_err());
    for length in [0, 5, -1] {
        let mut bytes = Vec::new();
        bytes.put_i32_le(length);
        bytes.put_u16_le(WHOLE | FINAL);
        assert!(decode(&bytes, 100).is_err(), "{length}");
    }
    assert!(decode(&frame(FINAL, &[0; 20]), 100).is_err(), "a fragment");
    assert!(decode(&frame(WHOLE | FINAL, &[0; 11]), 100).is_err(), "too short");
}

/// Bytes that were written down from the protocol's definitions, not from what we write.
#[test]
fn a_request_is_as_the_protocol_has_it() {
    let place = In { map: "m", partition: 7 };
    let bytes = request::get(place, &data::of_text("k")).finish(9);
    let head = [&0x01_0200_u32.to_le_bytes()[..], &9_i64.to_le_bytes(), &7_i32.to_le_bytes()];
    let mut expected = frame(WHOLE, &[&head.concat()[..], &1_i64.to_le_bytes()].concat());
    expected.extend(frame(0, b"m"));
    expected.extend(frame(FINAL, b"\0\0\0\0\xff\xff\xff\xf5\0\0\0\x01k"));
    assert_eq!(bytes, expected);
}

#[test]
fn no_password_and_no_value_is_printed() {
    let identity = Identity {
        cluster: "dev".to_owned(),
        name: Some("app".to_owned()),
        password: Some("hunter2".to_owned()),
        uuid: Uuid(1),
    };
    assert!(!format!("{:?}", request::authentication(&identity)).contains("hunter2"));
    let place = In { map: "m", partition: 0 };
    let value = super::seal(Place::of_principal("alice"), b"hunter2");
    let put = request::put_if_absent(place, b"key", &value, None);
    assert!(!format!("{put:?}").contains("hunter2"));
    let _: Bytes = predicate::count();
}
