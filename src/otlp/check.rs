//! The check at the door: bytes become a [`Checked`] request or a [`Malformed`] with the place of the fault.
//!
//! Behind the door every view may trust the structure, so views are simple and infallible. The check accepts
//! what prost accepts with the same schema (wire types, UTF-8, nesting of at most 100), except that it refuses
//! groups.

use std::fmt;

use super::front::Front;
use super::schema::{Field, KEY_VALUE, Kind, Message, Rule, SPAN, WireType};
use super::wire::{Fault, Wire, read_field, read_varint, short_bytes, short_pair};

/// Protobuf's customary limit on nested messages, which prost has as well.
pub const MAX_DEPTH: u32 = 100;

/// Stands for the one oneof of a message among the bits of its field numbers.
const ONEOF: u32 = 1 << 31;

/// What the check found out on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Spans, log records or data points.
    pub items: usize,
    /// Of these, the spans whose trace id or span id is missing, all zero or of the wrong length.
    pub invalid_ids: usize,
    /// A singular message occurs twice, or a oneof has two fields, which protobuf allows:
    /// [`super::normalise`] must make one of them.
    pub to_normalise: bool,
}

/// Why a request is not OTLP, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The message and field names on the way to the fault, innermost first.
    path: Vec<&'static str>,
    /// What is wrong there.
    problem: Problem,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    Wire(Fault),
    WireType { expected: WireType },
    NotUtf8,
    TooDeep,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.path.iter().rev().enumerate() {
            write!(f, "{}{name}", if index == 0 { "" } else { "." })?;
        }
        f.write_str(": ")?;
        match &self.problem {
            Problem::Wire(fault) => write!(f, "{fault}"),
            Problem::WireType { expected } => {
                write!(f, "the wire type does not fit, {} is expected", name_of(*expected))
            }
            Problem::NotUtf8 => f.write_str("the string is not UTF-8"),
            Problem::TooDeep => write!(f, "nested more than {MAX_DEPTH} messages deep"),
        }
    }
}

fn name_of(wire_type: WireType) -> &'static str {
    match wire_type {
        WireType::Varint => "varint",
        WireType::Fixed64 => "fixed64",
        WireType::Fixed32 => "fixed32",
        WireType::LengthDelimited => "length-delimited",
    }
}

impl std::error::Error for Malformed {}

/// Checks the encoding of one message of the schema.
pub fn check(bytes: &[u8], schema: &'static Message) -> Result<Checked, Malformed> {
    let mut checked = Checked::default();
    match check_message(bytes, schema, MAX_DEPTH, &mut checked) {
        Ok(()) => Ok(checked),
        Err(mut malformed) => {
            malformed.path.push(schema.name);
            Err(malformed)
        }
    }
}

fn check_message(
    mut bytes: &[u8],
    schema: &'static Message,
    depth: u32,
    checked: &mut Checked,
) -> Result<(), Malformed> {
    let mut seen_once = 0u32;
    let mut valid_ids = 0u32;
    if std::ptr::eq(schema, &SPAN)
        && let Some((front, rest)) = Front::split(bytes)
        && is_utf8(front.name)
    {
        valid_ids = u32::from(*front.trace_id != [0; 16]) << 1 | u32::from(*front.span_id != [0; 8]) << 2;
        bytes = rest;
    }
    while !bytes.is_empty() {
        if let Some(attributes) = schema.item
            && depth > 2
        {
            bytes = behind_plain_attributes(bytes, attributes);
            if bytes.is_empty() {
                break;
            }
        }
        let field = read_field(&mut bytes).map_err(Problem::Wire)?;
        let Some(known) = schema.field(field.number) else {
            if depth == 0 {
                return Err(Problem::TooDeep.into());
            }
            continue;
        };
        let bit = 1u32 << known.number;
        let counts_once = match known.rule {
            Rule::Repeated => 0,
            Rule::Oneof => ONEOF,
            Rule::Singular if matches!(known.kind, Kind::Message(_)) => bit,
            Rule::Singular => 0,
        };
        checked.to_normalise |= seen_once & counts_once != 0;
        seen_once |= counts_once;
        match (known.kind, field.value) {
            (Kind::Message(nested), Wire::Bytes(value)) => {
                if depth == 0 {
                    return Err(Problem::TooDeep.within(known));
                }
                if std::ptr::eq(nested, &KEY_VALUE) && depth > 2 && is_plain_attribute(value) {
                    continue;
                }
                check_message(value, nested, depth - 1, checked).map_err(|error| error.within(known))?;
            }
            (Kind::String, Wire::Bytes(value)) => {
                if !is_utf8(value) {
                    return Err(Problem::NotUtf8.within(known));
                }
            }
            (Kind::Id(len), Wire::Bytes(value)) => {
                let valid = value.len() == len && value.iter().any(|&byte| byte != 0);
                valid_ids = if valid { valid_ids | bit } else { valid_ids & !bit };
            }
            (_, value) => check_scalar(known, value).map_err(|problem| problem.within(known))?,
        }
    }
    if schema.item.is_some() {
        checked.items += 1;
        checked.invalid_ids += usize::from(valid_ids & schema.required_ids != schema.required_ids);
    }
    Ok(())
}

/// What is left of a message behind the attributes in front that are in order and short.
#[inline]
fn behind_plain_attributes(mut bytes: &[u8], number: u8) -> &[u8] {
    while let Some((attribute, rest)) = short_bytes(bytes, number)
        && is_plain_attribute(attribute)
    {
        bytes = rest;
    }
    bytes
}

/// Whether an attribute is in order and of the common form: a key and one scalar. If not, the general check
/// finds out what it is.
#[inline]
fn is_plain_attribute(attribute: &[u8]) -> bool {
    let Some((key, value)) = short_pair(attribute) else { return false };
    let plain_value = match value {
        // Both texts and the few bytes around them at once.
        [0x0a, ..] if is_ascii(attribute) => return short_bytes(value, 1).is_some_and(|(_, rest)| rest.is_empty()),
        [0x0a, ..] => short_bytes(value, 1).is_some_and(|(text, rest)| rest.is_empty() && is_utf8(text)),
        [0x10 | 0x18, number @ ..] => {
            let mut rest = number;
            read_varint(&mut rest).is_ok() && rest.is_empty()
        }
        [0x21, number @ ..] => number.len() == 8,
        _ => false,
    };
    plain_value && is_utf8(key)
}

#[inline]
fn is_utf8(text: &[u8]) -> bool {
    is_ascii(text) || std::str::from_utf8(text).is_ok()
}

/// By words of eight bytes without an end in between, because most texts are short and all of it. The last word overlaps
/// the one before.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk::<8>() else { return text.iter().fold(0, |all, byte| all | byte) < 0x80 };
    let words = text.as_chunks::<8>().0.iter();
    let all = words.fold(u64::from_le_bytes(*last), |all, word| all | u64::from_le_bytes(*word));
    all & 0x8080_8080_8080_8080 == 0
}

fn check_scalar(field: &Field, value: Wire<'_>) -> Result<(), Problem> {
    let expected = field.kind.wire_type();
    match (expected, value) {
        (WireType::Varint, Wire::Varint(_))
        | (WireType::Fixed64, Wire::Fixed64(_))
        | (WireType::Fixed32, Wire::Fixed32(_))
        | (WireType::LengthDelimited, Wire::Bytes(_)) => Ok(()),
        (_, Wire::Bytes(packed)) if field.rule == Rule::Repeated => check_packed(expected, packed),
        _ => Err(Problem::WireType { expected }),
    }
}

/// Repeated numbers may come in one length-delimited field, as proto3 writes them.
fn check_packed(wire_type: WireType, mut packed: &[u8]) -> Result<(), Problem> {
    match wire_type {
        WireType::Fixed64 if packed.len().is_multiple_of(8) => Ok(()),
        WireType::Varint => {
            while !packed.is_empty() {
                read_varint(&mut packed).map_err(Problem::Wire)?;
            }
            Ok(())
        }
        _ => Err(Problem::Wire(Fault::Truncated)),
    }
}

// === impl Problem, Malformed ===

impl Problem {
    fn within(self, field: &Field) -> Malformed {
        Malformed::from(self).within(field)
    }
}

impl From<Problem> for Malformed {
    fn from(problem: Problem) -> Malformed {
        Malformed { path: Vec::new(), problem }
    }
}

impl Malformed {
    fn within(mut self, field: &Field) -> Malformed {
        self.path.push(field.name);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::TRACES;
    use super::super::wire::{put_bytes, put_message, put_u64};
    use super::*;

    #[test]
    fn the_place_of_a_fault_is_named() {
        let mut bytes = Vec::new();
        put_message(&mut bytes, 1, |out| put_message(out, 2, |out| put_message(out, 2, |out| put_u64(out, 5, 1))));
        let error = check(&bytes, &TRACES).unwrap_err().to_string();
        assert_eq!(
            error,
            "ExportTraceServiceRequest.resourceSpans.scopeSpans.spans.name: the wire type does not fit, \
             length-delimited is expected"
        );
    }

    #[test]
    fn the_last_of_several_ids_counts() {
        let span = |ids: [&[u8]; 2]| {
            let mut bytes = Vec::new();
            put_message(&mut bytes, 1, |out| {
                put_message(out, 2, |out| {
                    put_message(out, 2, |out| {
                        put_bytes(out, 2, &[1; 8]);
                        for id in ids {
                            put_bytes(out, 1, id);
                        }
                    })
                })
            });
            check(&bytes, &TRACES).unwrap()
        };
        assert_eq!(span([&[1; 16], &[0; 16]]).invalid_ids, 1);
        assert_eq!(span([&[1; 3], &[1; 16]]).invalid_ids, 0);
    }
}
