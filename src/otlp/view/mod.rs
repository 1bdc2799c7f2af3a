//! Borrowed views over checked OTLP bytes: nothing is copied, fields may come in any order, unknown ones are
//! skipped.
//!
//! A view reads its message once and keeps references into it. Views trust the check at the door; over bytes
//! that were not checked they show less, but never panic.

mod log;
mod metric;
mod trace;

pub use log::LogRecord;
pub use metric::{
    DataPoint, Exemplar, ExponentialBuckets, ExponentialHistogram, Histogram, Metric, MetricKind, Number, Summary,
    Temporality,
};
pub use trace::{Span, SpanEvent, SpanLink, StatusCode};

use super::batch::{Batch, resources};
use super::wire::{Fields, Wire, read_varint, repeated, short_bytes, short_pair};

/// UTF-8 that was checked at the door, not looked at again until someone needs a `&str`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text<'a>(&'a [u8]);

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyValue<'a> {
    /// The attribute's name.
    pub key: Text<'a>,
    /// Its value; [`AnyValue::Empty`] where the sender left it out.
    pub value: AnyValue<'a>,
}

/// An attribute's value or a log record's body.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum AnyValue<'a> {
    /// No value at all, which is neither an empty string nor 0.
    #[default]
    Empty,
    /// Text.
    String(Text<'a>),
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list.
    Array(ArrayValue<'a>),
    /// A map.
    Map(KeyValueList<'a>),
}

/// A list of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArrayValue<'a>(&'a [u8]);

/// A map, in the sender's order; keys are not checked for uniqueness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyValueList<'a>(&'a [u8]);

/// What emitted a group of scopes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resource<'a>(&'a [u8]);

/// The instrumentation scope of a group of records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// The library or component that made the records.
    pub name: Text<'a>,
    /// Its version.
    pub version: Text<'a>,
    raw: &'a [u8],
}

/// The records of one scope of one resource.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// What emitted them.
    pub resource: Resource<'a>,
    /// Through which scope.
    pub scope: Scope<'a>,
    raw: &'a [u8],
}

impl Batch {
    /// The records by resource and scope, in order.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        resources(self).flat_map(Group::of_resource)
    }
}

impl<'a> Group<'a> {
    /// The groups of one resource, of its encoded `ResourceSpans`, `ResourceMetrics` or `ResourceLogs`.
    pub fn of_resource(raw: &'a [u8]) -> impl Iterator<Item = Group<'a>> {
        // The first is the only one. It is in front, and looking for another would read the tags of all records.
        let resource = Resource(repeated(raw, 1).next().unwrap_or_default());
        repeated(raw, 2).map(move |raw| Group { resource, scope: Scope::of_group(raw), raw })
    }

    /// Its spans, where the batch is of traces.
    pub fn spans(self) -> impl Iterator<Item = Span<'a>> {
        self.records().map(Span::read)
    }

    /// Its log records, where the batch is of logs.
    pub fn log_records(self) -> impl Iterator<Item = LogRecord<'a>> {
        self.records().map(LogRecord::read)
    }

    /// Its metrics, where the batch is of metrics.
    pub fn metrics(self) -> impl Iterator<Item = Metric<'a>> {
        self.records().map(Metric::read)
    }

    /// Its records as encoded messages.
    pub fn records(self) -> impl Iterator<Item = &'a [u8]> {
        repeated(self.raw, 2)
    }

    /// The encoded `ScopeSpans`, `ScopeMetrics` or `ScopeLogs`.
    pub(super) fn raw(self) -> &'a [u8] {
        self.raw
    }
}

impl<'a> Resource<'a> {
    /// Its attributes.
    pub fn attributes(self) -> impl Iterator<Item = KeyValue<'a>> {
        repeated(self.0, 1).map(KeyValue::read)
    }

    /// The value of one attribute.
    pub fn get(self, key: &str) -> Option<AnyValue<'a>> {
        self.attributes().find(|attribute| attribute.key == *key).map(|attribute| attribute.value)
    }

    /// The encoded message: equal bytes mean an equal resource.
    pub fn raw(self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Scope<'a> {
    /// Its attributes.
    pub fn attributes(self) -> impl Iterator<Item = KeyValue<'a>> {
        repeated(self.raw, 3).map(KeyValue::read)
    }

    fn of_group(group: &'a [u8]) -> Scope<'a> {
        let Some(raw) = repeated(group, 1).next() else { return Scope::default() };
        let mut scope = Scope { raw, ..Scope::default() };
        for field in Fields::of(raw) {
            match (field.number, field.value) {
                (1, Wire::Bytes(name)) => scope.name = Text(name),
                (2, Wire::Bytes(version)) => scope.version = Text(version),
                _ => {}
            }
        }
        scope
    }
}

impl<'a> KeyValue<'a> {
    /// Reads an encoded attribute.
    #[inline(always)]
    pub fn read(raw: &'a [u8]) -> KeyValue<'a> {
        match short_pair(raw) {
            Some((key, value)) => KeyValue { key: Text(key), value: AnyValue::read(value) },
            None => KeyValue::read_any(raw),
        }
    }

    /// One of any form.
    #[inline(never)]
    fn read_any(raw: &'a [u8]) -> KeyValue<'a> {
        let mut attribute = KeyValue { key: Text::default(), value: AnyValue::Empty };
        for field in Fields::of(raw) {
            match (field.number, field.value) {
                (1, Wire::Bytes(key)) => attribute.key = Text(key),
                (2, Wire::Bytes(value)) => attribute.value = AnyValue::read(value),
                _ => {}
            }
        }
        attribute
    }
}

impl<'a> AnyValue<'a> {
    /// Reads an encoded value: short texts and numbers, which nearly all are, at once.
    #[inline(always)]
    pub fn read(raw: &'a [u8]) -> AnyValue<'a> {
        match (short_bytes(raw, 1), raw) {
            (Some((text, [])), _) => AnyValue::String(Text(text)),
            (None, [0x18, rest @ ..]) => {
                let mut rest = rest;
                match (read_varint(&mut rest), rest) {
                    (Ok(number), []) => AnyValue::Int(number as i64),
                    _ => AnyValue::read_any(raw),
                }
            }
            _ => AnyValue::read_any(raw),
        }
    }

    /// One of any form.
    #[inline(never)]
    fn read_any(raw: &'a [u8]) -> AnyValue<'a> {
        let mut value = AnyValue::Empty;
        for field in Fields::of(raw) {
            value = match (field.number, field.value) {
                (1, Wire::Bytes(text)) => AnyValue::String(Text(text)),
                (2, Wire::Varint(truth)) => AnyValue::Bool(truth != 0),
                (3, Wire::Varint(number)) => AnyValue::Int(number as i64),
                (4, Wire::Fixed64(bits)) => AnyValue::Double(f64::from_bits(bits)),
                (5, Wire::Bytes(raw)) => AnyValue::Array(ArrayValue(raw)),
                (6, Wire::Bytes(raw)) => AnyValue::Map(KeyValueList(raw)),
                (7, Wire::Bytes(bytes)) => AnyValue::Bytes(bytes),
                // An index into a profile's string table means nothing elsewhere.
                (8, _) => AnyValue::Empty,
                _ => value,
            };
        }
        value
    }

    /// The text of a string value.
    pub fn text(self) -> Option<Text<'a>> {
        match self {
            AnyValue::String(text) => Some(text),
            _ => None,
        }
    }
}

impl<'a> ArrayValue<'a> {
    /// Its values, in order.
    pub fn values(self) -> impl Iterator<Item = AnyValue<'a>> {
        repeated(self.0, 1).map(AnyValue::read)
    }
}

impl<'a> KeyValueList<'a> {
    /// Its entries, in order.
    pub fn entries(self) -> impl Iterator<Item = KeyValue<'a>> {
        repeated(self.0, 1).map(KeyValue::read)
    }
}

// === impl Text ===

impl<'a> Text<'a> {
    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// As a string. Checks again, since the type promises less than it knows; over unchecked bytes that are
    /// not UTF-8, the part before the fault.
    pub fn as_str(self) -> &'a str {
        match std::str::from_utf8(self.0) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&self.0[..error.valid_up_to()]).unwrap_or_default(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Text<'a> {
        Text(text.as_bytes())
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), f)
    }
}

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
