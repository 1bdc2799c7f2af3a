//! Protobuf to OTLP/JSON, for files and for people.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::otlp::schema::{Field, Kind, Message, Rule};
use crate::otlp::wire::{Fields, Wire, read_varint};

/// The OTLP/JSON of a message that has passed [`super::super::check`] and needs no normalising, as those of batches,
/// on one line.
pub fn to_json(message: &[u8], schema: &'static Message) -> String {
    let mut out = String::with_capacity(message.len() * 2);
    write_message(&mut out, message, schema);
    out
}

fn write_message(out: &mut String, message: &[u8], schema: &'static Message) {
    out.push('{');
    let mut first = true;
    for field in schema.fields {
        let mut values = Fields::of(message).filter(|found| found.number == field.number).map(|found| found.value);
        let value = match field.rule {
            Rule::Repeated => values.next(),
            Rule::Singular | Rule::Oneof => values.last(),
        };
        let Some(value) = value else { continue };
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        out.extend(["\"", field.name, "\":"]);
        match field.rule {
            Rule::Repeated => write_list(out, message, field),
            Rule::Singular | Rule::Oneof => write_value(out, field.kind, value),
        }
    }
    out.push('}');
}

fn write_list(out: &mut String, message: &[u8], field: &'static Field) {
    out.push('[');
    let mut first = true;
    let mut element = |out: &mut String, value: Wire<'_>| {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write_value(out, field.kind, value);
    };
    for found in Fields::of(message).filter(|found| found.number == field.number) {
        match (field.kind, found.value) {
            (Kind::Message(_) | Kind::String | Kind::Bytes | Kind::Id(_), value) => element(out, value),
            (Kind::Fixed64 | Kind::Double | Kind::Sfixed64, Wire::Bytes(packed)) => {
                let (numbers, _) = packed.as_chunks::<8>();
                numbers.iter().for_each(|number| element(out, Wire::Fixed64(u64::from_le_bytes(*number))));
            }
            (_, Wire::Bytes(mut packed)) => {
                while let Some(number) = (!packed.is_empty()).then(|| read_varint(&mut packed).ok()).flatten() {
                    element(out, Wire::Varint(number));
                }
            }
            (_, value) => element(out, value),
        }
    }
    out.push(']');
}

fn write_value(out: &mut String, kind: Kind, value: Wire<'_>) {
    match (kind, value) {
        (Kind::Message(schema), Wire::Bytes(message)) => write_message(out, message, schema),
        (Kind::String, Wire::Bytes(text)) => write_string(out, &String::from_utf8_lossy(text)),
        (Kind::Bytes, Wire::Bytes(bytes)) => out.extend(["\"", &STANDARD.encode(bytes), "\""]),
        (Kind::Id(_), Wire::Bytes(id)) => {
            out.push('"');
            id.iter().for_each(|byte| out.push_str(&format!("{byte:02x}")));
            out.push('"');
        }
        (Kind::Bool, value) => out.push_str(if value.number() != 0 { "true" } else { "false" }),
        (Kind::Enum | Kind::Int32, value) => out.push_str(&(value.number() as i32).to_string()),
        (Kind::Sint32, value) => {
            let value = value.number() as u32;
            out.push_str(&((value >> 1) as i32 ^ -((value & 1) as i32)).to_string());
        }
        (Kind::Uint32 | Kind::Fixed32, value) => out.push_str(&(value.number() as u32).to_string()),
        (Kind::Int64 | Kind::Sfixed64, value) => out.push_str(&format!("\"{}\"", value.number() as i64)),
        (Kind::Uint64 | Kind::Fixed64, value) => out.push_str(&format!("\"{}\"", value.number())),
        (Kind::Double, value) => write_double(out, f64::from_bits(value.number())),
        (Kind::Message(_) | Kind::String | Kind::Bytes | Kind::Id(_), _) => out.push_str("null"),
    }
}

fn write_double(out: &mut String, number: f64) {
    match number {
        _ if number.is_nan() => out.push_str("\"NaN\""),
        f64::INFINITY => out.push_str("\"Infinity\""),
        f64::NEG_INFINITY => out.push_str("\"-Infinity\""),
        _ => match serde_json::Number::from_f64(number) {
            Some(number) => out.push_str(&number.to_string()),
            None => out.push('0'),
        },
    }
}

fn write_string(out: &mut String, text: &str) {
    match serde_json::to_string(text) {
        Ok(json) => out.push_str(&json),
        Err(_) => out.push_str("\"\""),
    }
}
