//! OTLP/JSON to protobuf, in one pass over the text.
//!
//! Ids are hexadecimal, 64-bit integers strings or numbers, enums integers, bytes base64, `null` is absent,
//! unknown fields are skipped (OTLP 1.11, "JSON Protobuf Encoding"). Whitespace may stand anywhere.

use std::cell::RefCell;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::otlp::schema::{Field, Kind, Message, Rule};
use crate::otlp::wire::{put_message, put_varint};

/// Why a text is not OTLP/JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    place: String,
    problem: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => f.write_str(&self.problem),
            place => write!(f, "{place}: {}", self.problem),
        }
    }
}

impl std::error::Error for JsonError {}

/// The protobuf encoding of a request given as OTLP/JSON. The result still has to pass [`super::super::check`].
pub fn from_json(text: &[u8], schema: &'static Message) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::with_capacity(text.len() / 2);
    let place = Place::default();
    let mut json = serde_json::Deserializer::from_slice(text);
    MessageSeed { schema, place: &place, out: &mut out }
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| JsonError { place: place.describe(), problem: error.to_string() })?;
    Ok(out)
}

/// Where in the document the transcoder is; after an error, where it was.
#[derive(Default)]
struct Place(RefCell<Vec<Step>>);

#[derive(Clone, Copy)]
enum Step {
    Field(&'static str),
    Index(usize),
}

impl Place {
    fn within<T, E>(&self, step: Step, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.0.borrow_mut().push(step);
        let value = read()?;
        self.0.borrow_mut().pop();
        Ok(value)
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for step in self.0.borrow().iter() {
            match step {
                Step::Field(name) if text.is_empty() => text.push_str(name),
                Step::Field(name) => text.extend([".", name]),
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }
}

/// Reads an object and appends the fields of its message.
struct MessageSeed<'s> {
    schema: &'static Message,
    place: &'s Place,
    out: &'s mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", self.schema.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(FieldName(self.schema))? {
            let Some(field) = field else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = ValueSeed { field, place: self.place, out: self.out };
            self.place.within(Step::Field(field.name), || map.next_value_seed(value))?;
        }
        Ok(())
    }
}

/// Reads a key and finds the field that it names.
struct FieldName(&'static Message);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a field name of {}", self.0.name)
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.field_named(name))
    }
}

/// Reads the value of a field, tag included: nothing for `null`, one field for all packed numbers.
struct ValueSeed<'s> {
    field: &'static Field,
    place: &'s Place,
    out: &'s mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match (self.field.rule, self.field.kind) {
            (Rule::Repeated, _) => json.deserialize_any(ListVisitor(self)),
            (_, Kind::Message(schema)) => json.deserialize_any(NestedVisitor { schema, value: self }),
            _ => json.deserialize_any(ScalarVisitor { field: self.field, tagged: true, out: self.out }),
        }
    }
}

struct ListVisitor<'s>(ValueSeed<'s>);

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let ValueSeed { field, place, out } = self.0;
        let mut index = 0;
        let mut elements = |out: &mut Vec<u8>| loop {
            let element = ElementSeed { field, place, out };
            match place.within(Step::Index(index), || seq.next_element_seed(element))? {
                Some(()) => index += 1,
                None => return Ok(()),
            }
        };
        match field.kind {
            Kind::Message(_) | Kind::String | Kind::Bytes | Kind::Id(_) => elements(out),
            _ => put_message(out, field.number, elements),
        }
    }
}

struct ElementSeed<'s> {
    field: &'static Field,
    place: &'s Place,
    out: &'s mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for ElementSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let ElementSeed { field, place, out } = self;
        match field.kind {
            Kind::Message(schema) => {
                put_message(out, field.number, |out| MessageSeed { schema, place, out }.deserialize(json))
            }
            kind => {
                let tagged = matches!(kind, Kind::String | Kind::Bytes | Kind::Id(_));
                json.deserialize_any(ScalarVisitor { field, tagged, out })
            }
        }
    }
}

/// A singular message, which may be `null`.
struct NestedVisitor<'s> {
    schema: &'static Message,
    value: ValueSeed<'s>,
}

impl<'de> Visitor<'de> for NestedVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", self.schema.name)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let ValueSeed { field, place, out } = self.value;
        put_message(out, field.number, |out| MessageSeed { schema: self.schema, place, out }.visit_map(map))
    }
}

/// A scalar in any of the forms that JSON mappings allow.
struct ScalarVisitor<'s> {
    field: &'static Field,
    /// Packed numbers have one tag for all.
    tagged: bool,
    out: &'s mut Vec<u8>,
}

impl ScalarVisitor<'_> {
    fn varint<E>(self, value: u64) -> Result<(), E> {
        if self.tagged {
            put_varint(self.out, u64::from(self.field.number) << 3);
        }
        put_varint(self.out, value);
        Ok(())
    }

    fn fixed<E, const N: usize>(self, wire_type: u64, value: [u8; N]) -> Result<(), E> {
        if self.tagged {
            put_varint(self.out, u64::from(self.field.number) << 3 | wire_type);
        }
        self.out.extend_from_slice(&value);
        Ok(())
    }

    fn bytes<E>(self, value: &[u8]) -> Result<(), E> {
        crate::otlp::wire::put_bytes(self.out, self.field.number, value);
        Ok(())
    }

    /// An integer in range of its kind. `i128` holds every one of them.
    fn integer<E: de::Error>(self, value: i128) -> Result<(), E> {
        let out_of_range = || E::custom(format_args!("{value} is out of range"));
        match self.field.kind {
            Kind::Enum | Kind::Int32 => {
                let value = i32::try_from(value).map_err(|_| out_of_range())?;
                self.varint(i64::from(value) as u64)
            }
            Kind::Sint32 => {
                let value = i32::try_from(value).map_err(|_| out_of_range())?;
                self.varint(u64::from((value << 1 ^ value >> 31) as u32))
            }
            Kind::Uint32 => self.varint(u64::from(u32::try_from(value).map_err(|_| out_of_range())?)),
            Kind::Int64 => self.varint(i64::try_from(value).map_err(|_| out_of_range())? as u64),
            Kind::Uint64 => self.varint(u64::try_from(value).map_err(|_| out_of_range())?),
            Kind::Fixed32 => self.fixed(5, u32::try_from(value).map_err(|_| out_of_range())?.to_le_bytes()),
            Kind::Fixed64 => self.fixed(1, u64::try_from(value).map_err(|_| out_of_range())?.to_le_bytes()),
            Kind::Sfixed64 => self.fixed(1, i64::try_from(value).map_err(|_| out_of_range())?.to_le_bytes()),
            Kind::Double => self.fixed(1, (value as f64).to_le_bytes()),
            _ => Err(E::invalid_type(de::Unexpected::Other("a number"), &self)),
        }
    }
}

impl Visitor<'_> for ScalarVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.field.kind {
            Kind::Bool => "true or false",
            Kind::Enum => "an integer, or the name of a kind, status or temporality",
            Kind::Int32 | Kind::Sint32 | Kind::Uint32 | Kind::Fixed32 => "an integer",
            Kind::Int64 | Kind::Uint64 | Kind::Fixed64 | Kind::Sfixed64 => "an integer, as a string or a number",
            Kind::Double => "a number",
            Kind::String => "a string",
            Kind::Bytes => "base64",
            Kind::Id(_) => "hexadecimal digits",
            Kind::Message(_) => "an object",
        })
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        match self.field.kind {
            Kind::Bool => self.varint(u64::from(value)),
            _ => Err(E::invalid_type(de::Unexpected::Bool(value), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        match self.field.kind {
            Kind::Double => self.fixed(1, value.to_le_bytes()),
            // Numbers in JSON have one type: 1e3 is an integer.
            _ if value.fract() == 0.0 && value.abs() < 1e19 => self.integer(value as i128),
            _ => Err(E::invalid_type(de::Unexpected::Float(value), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        let invalid = |this: &Self| E::invalid_value(de::Unexpected::Str(text), this);
        match self.field.kind {
            Kind::String => self.bytes(text.as_bytes()),
            Kind::Id(_) => match decode_hex(text) {
                Some(id) => self.bytes(&id),
                None => Err(invalid(&self)),
            },
            Kind::Bytes => match decode_base64(text) {
                Some(bytes) => self.bytes(&bytes),
                None => Err(invalid(&self)),
            },
            Kind::Double => match text.parse::<f64>() {
                Ok(number) => self.fixed(1, number.to_le_bytes()),
                Err(_) => Err(invalid(&self)),
            },
            Kind::Bool | Kind::Message(_) => Err(invalid(&self)),
            Kind::Enum if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-') => match enum_number(text) {
                Some(number) => self.integer(i128::from(number)),
                None => Err(invalid(&self)),
            },
            _ => match (text.parse::<i128>(), text.parse::<f64>()) {
                (Ok(number), _) => self.integer(number),
                (_, Ok(number)) if number.is_finite() => self.visit_f64(number),
                _ => Err(invalid(&self)),
            },
        }
    }
}

/// OTLP/JSON has numbers for enums. Generators of JSON from protobuf write names, which are as clear.
fn enum_number(name: &str) -> Option<u8> {
    const NAMES: &[&[&str]] = &[
        &[
            "SPAN_KIND_UNSPECIFIED",
            "SPAN_KIND_INTERNAL",
            "SPAN_KIND_SERVER",
            "SPAN_KIND_CLIENT",
            "SPAN_KIND_PRODUCER",
            "SPAN_KIND_CONSUMER",
        ],
        &["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"],
        &["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE"],
    ];
    NAMES.iter().find_map(|names| names.iter().position(|known| *known == name)).map(|number| number as u8)
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Both alphabets, padded or not, as protobuf's JSON mapping asks of a reader.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}
