//! The content of a span: what went in and what came out, as JSON. Read only when an event is built.

use super::{FieldKeys, Spot, detect, generic, provider};
use crate::event::{JsonObject, push_f64, push_str};
use crate::otlp::view::{AnyValue, ArrayValue};
use crate::semconv::Key;

/// What a span says beyond its meaning.
#[derive(Clone, Debug)]
pub struct Content<'a> {
    /// Messages, or a tool's arguments.
    pub input: Option<AnyValue<'a>>,
    /// Messages, or a tool's result.
    pub output: Option<AnyValue<'a>>,
    /// The id that the model gave its call of the tool.
    pub tool_call_id: Option<&'a str>,
    /// Why the model stopped, as the conventions spell it.
    pub finish_reason: Option<&'a str>,
}

impl<'a> Content<'a> {
    /// The content of a span that [`super::read`] found a meaning in.
    pub fn read(spot: &Spot<'a, '_>) -> Content<'a> {
        let own = detect::detect(spot).map(|dialect| &dialect.fields);
        let keys =
            |pick: fn(&FieldKeys) -> &'static [Key]| own.map_or(&[][..], pick).iter().chain(pick(&generic::FIELDS));
        let value = |pick: fn(&FieldKeys) -> &'static [Key]| {
            keys(pick).find_map(|key| spot.attributes.get(*key)).filter(|value| !is_empty(*value))
        };
        let finish_reason = value(|fields| fields.finish_reason).and_then(|value| match value {
            AnyValue::String(text) => Some(text.as_str()),
            AnyValue::Array(array) => array.values().find_map(AnyValue::text).map(|text| text.as_str()),
            _ => None,
        });
        Content {
            input: value(|fields| fields.input),
            output: value(|fields| fields.output),
            tool_call_id: value(|fields| fields.tool_call_id).and_then(AnyValue::text).map(|text| text.as_str()),
            finish_reason: finish_reason.map(provider::finish_reason),
        }
    }
}

fn is_empty(value: AnyValue<'_>) -> bool {
    match value {
        AnyValue::Empty => true,
        AnyValue::String(text) => text.is_empty() || super::is_redacted(text.as_str()),
        _ => false,
    }
}

/// Writes a value as JSON. Text that is JSON already (messages mostly are) goes in as it is.
pub fn put_value(object: &mut JsonObject<'_>, key: &str, value: AnyValue<'_>) {
    if let AnyValue::String(text) = value {
        let text = text.as_str();
        let looks_like_json = text.trim_start().starts_with(['{', '[']);
        if looks_like_json && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
            // One event is one line wherever lines matter, so line ends between tokens have to go.
            object.raw(key, text.replace(['\n', '\r'], " ").as_bytes());
        } else {
            object.str(key, text);
        }
        return;
    }
    push_value(object.key(key), value);
}

fn push_value(out: &mut Vec<u8>, value: AnyValue<'_>) {
    match value {
        AnyValue::Empty => out.extend_from_slice(b"null"),
        AnyValue::String(text) => push_str(out, text.as_str()),
        AnyValue::Bool(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
        AnyValue::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        AnyValue::Double(number) => push_f64(out, number),
        AnyValue::Bytes(bytes) => {
            use base64::Engine;
            push_str(out, &base64::engine::general_purpose::STANDARD.encode(bytes));
        }
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
