//! Merging what protobuf lets a sender give twice, so that views need not.
//!
//! A singular message that occurs twice means its parts merged, and of a oneof the last field counts. No SDK
//! sends either, but a decoder must agree with the specification on it. Rewriting such a request once, at the
//! door, keeps every view simple.

use super::schema::{Kind, Message, Rule};
use super::wire::{Field, Fields, Wire, put_bytes, put_field};

/// The same message with every singular field once. The input has passed [`super::check`].
pub fn normalise(bytes: &[u8], schema: &'static Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    normalise_into(&mut out, bytes, schema);
    out
}

fn normalise_into(out: &mut Vec<u8>, bytes: &[u8], schema: &'static Message) {
    let mut singular: Vec<Merged> = Vec::new();
    let mut oneof: Option<Oneof<'_>> = None;
    for field in Fields::of(bytes) {
        let known = schema.field(field.number).map(|known| (known.kind, known.rule));
        match (known, field.value) {
            (Some((Kind::Message(nested), Rule::Repeated)), Wire::Bytes(value)) => {
                put_bytes(out, field.number, &normalise(value, nested));
            }
            (Some((Kind::Message(nested), Rule::Singular)), Wire::Bytes(value)) => {
                match singular.iter_mut().find(|merged| merged.number == field.number) {
                    Some(merged) => merged.value.extend_from_slice(value),
                    None => singular.push(Merged { number: field.number, nested, value: value.to_vec() }),
                }
            }
            (Some((Kind::Message(nested), Rule::Oneof)), Wire::Bytes(value)) => match &mut oneof {
                Some(Oneof::Message(merged)) if merged.number == field.number => merged.value.extend_from_slice(value),
                _ => oneof = Some(Oneof::Message(Merged { number: field.number, nested, value: value.to_vec() })),
            },
            (Some((_, Rule::Oneof)), _) => oneof = Some(Oneof::Scalar(field)),
            _ => put_field(out, field),
        }
    }
    match oneof {
        Some(Oneof::Message(merged)) => singular.push(merged),
        Some(Oneof::Scalar(field)) => put_field(out, field),
        None => {}
    }
    for merged in singular {
        put_bytes(out, merged.number, &normalise(&merged.value, merged.nested));
    }
}

/// The parts of a message field so far: protobuf defines merging as concatenation.
struct Merged {
    number: u32,
    nested: &'static Message,
    value: Vec<u8>,
}

enum Oneof<'a> {
    Scalar(Field<'a>),
    Message(Merged),
}
