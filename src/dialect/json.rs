//! Values of attributes as JSON, so that whoever reads the event can read them back.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::event::{JsonObject, push_f64, push_str};
use crate::otlp::view::{AnyValue, ArrayValue};

/// Writes a value as JSON. Text that is JSON already (messages mostly are) goes in as it is.
pub fn put_value(object: &mut JsonObject<'_>, key: &str, value: AnyValue<'_>) {
    if let AnyValue::String(text) = value {
        let text = text.as_str();
        if text.trim_start().starts_with(['{', '[']) && reads_back(text) {
            // One event is one line wherever lines matter, so line ends between tokens have to go.
            object.raw(key, text.replace(['\n', '\r'], " ").as_bytes());
        } else {
            object.str(key, text);
        }
        return;
    }
    push_value(object.key(key), value);
}

/// The same as a tree, texts as they are.
pub(super) fn value(value: AnyValue<'_>) -> Value {
    match value {
        AnyValue::Empty => Value::Null,
        AnyValue::String(text) => text.as_str().into(),
        AnyValue::Bool(truth) => truth.into(),
        AnyValue::Int(number) => number.into(),
        AnyValue::Double(number) => number.into(),
        AnyValue::Bytes(bytes) => base64(bytes).into(),
        AnyValue::Array(array) => array.values().map(self::value).collect(),
        AnyValue::Map(map) => {
            map.entries().map(|entry| (entry.key.as_str().to_owned(), self::value(entry.value))).collect()
        }
    }
}

/// The same, and the JSON in a text as what it says.
pub(super) fn parsed(value: AnyValue<'_>) -> Value {
    let is_json = |text: &&str| text.starts_with(['{', '[']) && reads_back(text);
    let text = value.text().map(|text| text.as_str()).filter(is_json);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| self::value(value))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Whether a JSON reader takes the text as part of an event. Skipping over it does not tell: strings may hold
/// half a surrogate pair and numbers be larger than any, and what is deep already is deeper within an event.
fn reads_back(text: &str) -> bool {
    let mut reader = serde_json::Deserializer::from_str(text);
    Readable { levels: Readable::LEVELS }.deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// Reads as closely as who builds a tree, and builds none.
#[derive(Clone, Copy)]
struct Readable {
    levels: u8,
}

impl Readable {
    /// Readers take 128 levels; an event, and a list of events, need a few for themselves.
    const LEVELS: u8 = 100;

    fn within<E: Error>(self) -> Result<Readable, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Readable { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Readable {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        let within = self.within()?;
        while values.next_element_seed(within)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let within = self.within()?;
        while members.next_key_seed(within)?.is_some() {
            members.next_value_seed(within)?;
        }
        Ok(())
    }
}

fn push_value(out: &mut Vec<u8>, value: AnyValue<'_>) {
    match value {
        AnyValue::Empty => out.extend_from_slice(b"null"),
        AnyValue::String(text) => push_str(out, text.as_str()),
        AnyValue::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
        AnyValue::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        AnyValue::Double(number) => push_f64(out, number),
        AnyValue::Bytes(bytes) => push_str(out, &base64(bytes)),
        AnyValue::Array(array) => push_array(out, array),
        AnyValue::Map(map) => {
            out.push(b'{');
            for (index, entry) in map.entries().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                push_str(out, entry.key.as_str());
                out.push(b':');
                push_value(out, entry.value);
            }
            out.push(b'}');
        }
    }
}

fn push_array(out: &mut Vec<u8>, array: ArrayValue<'_>) {
    out.push(b'[');
    for (index, value) in array.values().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_value(out, value);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{Data, Event, EventName, Timestamp};
    use crate::otlp::view::KeyValue;

    /// The payload member of the event that holds this text, as a reader of the event's line finds it.
    fn read_back(text: &str) -> Value {
        let mut encoded = Vec::new();
        for (number, part) in [(1, &b"key"[..]), (2, text.as_bytes())] {
            let mut part = part.to_vec();
            if number == 2 {
                part = [&[0x0a][..], &length(part.len()), &part].concat();
            }
            encoded.extend([&[number << 3 | 2][..], &length(part.len()), &part].concat());
        }
        let mut event = Event::named(EventName::parse("llm.started").unwrap(), Timestamp::default());
        event.data = Data::build(|data| put_value(data, "messages", KeyValue::read(&encoded).value));
        let line = event.to_json();
        assert!(!line.contains(['\n', '\r']), "{line}");
        let mut event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        event["data"]["messages"].take()
    }

    fn length(mut length: usize) -> Vec<u8> {
        let mut varint = Vec::new();
        while length >= 128 {
            varint.push(length as u8 | 128);
            length >>= 7;
        }
        varint.push(length as u8);
        varint
    }

    #[test]
    fn what_cannot_be_read_back_goes_in_as_text() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let texts = [
            r#"{"a":"\ud800"}"#.into(),
            r#"{"\ud800":1}"#.into(),
            r#"{"a":1e999}"#.into(),
            "[-1e999]".into(),
            "[1,]".into(),
            "{} {}".into(),
            "[truncated: 10 characters".into(),
            deep(101),
            deep(127),
            deep(100_000),
        ];
        for text in texts {
            assert_eq!(read_back(&text), Value::String(text));
        }
        for text in [r#" [{"a":"\ud83d\ude00","b":[1e3,-0.5,null,true,18446744073709551615]}]"#, "{}", "[\n1\r\n]"] {
            assert_eq!(read_back(text), serde_json::from_str::<Value>(text).unwrap());
        }
        assert_eq!(read_back(&deep(100)), serde_json::from_str::<Value>(&deep(100)).unwrap());
    }

    proptest! {
        #[test]
        fn whatever_the_text_the_events_line_can_be_read(
            text in prop_oneof![
                any::<String>(),
                r#"[\[{]([\[\]{},:" \n]|"a"|"\\\\u[0-9d][0-9a-f]{3}"|-?[0-9]{1,3}(e[0-9]{1,4})?|null|true){0,12}[\]}]"#,
                (r#"("([a-z]|\\u[d0][0-9a-f]{3}){0,3}"|-?[0-9]{1,3}(\.[0-9])?(e-?[0-9]{1,4})?)"#, 1usize..130)
                    .prop_map(|(leaf, levels)| "[".repeat(levels) + &leaf + &"]".repeat(levels)),
            ],
        ) {
            let found = read_back(&text);
            if let Value::String(found) = found {
                prop_assert_eq!(found, text);
            } else {
                prop_assert_eq!(found, serde_json::from_str::<Value>(&text).unwrap());
            }
        }
    }
}
