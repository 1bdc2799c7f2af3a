//! Views over log records.

use super::{AnyValue, KeyValue, Text};
use crate::otlp::wire::{Fields, Wire, repeated};

/// One log record.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRecord<'a> {
    /// When it happened: nanoseconds since 1970, 0 if unknown.
    pub time_unix_nano: u64,
    /// When it was collected: nanoseconds since 1970.
    pub observed_time_unix_nano: u64,
    /// 1 (trace) to 24 (fatal), 0 if unspecified.
    pub severity_number: i32,
    /// The emitter's own word for it.
    pub severity_text: Text<'a>,
    /// The message or payload.
    pub body: AnyValue<'a>,
    /// Attributes that the sender dropped.
    pub dropped_attributes_count: u32,
    /// W3C trace flags.
    pub flags: u32,
    /// Empty where the record belongs to no trace.
    pub trace_id: &'a [u8],
    /// Empty where the record belongs to no span.
    pub span_id: &'a [u8],
    /// Makes the record an event.
    pub event_name: Text<'a>,
    raw: &'a [u8],
}

impl<'a> LogRecord<'a> {
    /// Reads an encoded log record.
    pub fn read(raw: &'a [u8]) -> LogRecord<'a> {
        let mut record = LogRecord { raw, ..LogRecord::default() };
        for field in Fields::of(raw) {
            match (field.number, field.value) {
                (1, Wire::Fixed64(time)) => record.time_unix_nano = time,
                (2, Wire::Varint(severity)) => record.severity_number = severity as i32,
                (3, Wire::Bytes(text)) => record.severity_text = Text(text),
                (5, Wire::Bytes(body)) => record.body = AnyValue::read(body),
                (7, Wire::Varint(count)) => record.dropped_attributes_count = count as u32,
                (8, Wire::Fixed32(flags)) => record.flags = flags,
                (9, Wire::Bytes(id)) => record.trace_id = id,
                (10, Wire::Bytes(id)) => record.span_id = id,
                (11, Wire::Fixed64(time)) => record.observed_time_unix_nano = time,
                (12, Wire::Bytes(name)) => record.event_name = Text(name),
                _ => {}
            }
        }
        record
    }

    /// Its attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = KeyValue<'a>> + use<'a> {
        repeated(self.raw, 6).map(KeyValue::read)
    }

    /// The encoded record.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }
}
