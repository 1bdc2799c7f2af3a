//! Views over spans.

use super::{KeyValue, Text};
use crate::otlp::front::Front;
use crate::otlp::wire::{Fields, Wire, repeated};

/// One span.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span<'a> {
    /// 16 bytes, not all zero, in a batch that came through the door.
    pub trace_id: &'a [u8],
    /// 8 bytes, not all zero, in a batch that came through the door.
    pub span_id: &'a [u8],
    /// Empty for a root span.
    pub parent_span_id: &'a [u8],
    /// W3C `tracestate`.
    pub trace_state: Text<'a>,
    /// W3C trace flags and OTLP's own.
    pub flags: u32,
    /// What it is called.
    pub name: Text<'a>,
    /// The number of OTLP's `SpanKind`.
    pub kind: i32,
    /// Nanoseconds since 1970.
    pub start_time_unix_nano: u64,
    /// Nanoseconds since 1970.
    pub end_time_unix_nano: u64,
    /// Attributes that the sender dropped.
    pub dropped_attributes_count: u32,
    /// Events that the sender dropped.
    pub dropped_events_count: u32,
    /// Links that the sender dropped.
    pub dropped_links_count: u32,
    /// Set by the instrumentation, or not.
    pub status_code: StatusCode,
    /// For errors, what went wrong.
    pub status_message: Text<'a>,
    /// Whether there is any event: most spans have none, and looking for one costs another pass.
    pub has_events: bool,
    raw: &'a [u8],
}

/// What the instrumentation says of a span's outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusCode {
    /// Nothing was said.
    #[default]
    Unset,
    /// Explicitly good.
    Ok,
    /// Failed.
    Error,
}

/// A moment within a span.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanEvent<'a> {
    /// Nanoseconds since 1970.
    pub time_unix_nano: u64,
    /// What it is called, e.g. `exception`.
    pub name: Text<'a>,
    raw: &'a [u8],
}

/// A reference to a span of another trace, or of the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpanLink<'a> {
    /// 16 bytes where the sender keeps to the rules.
    pub trace_id: &'a [u8],
    /// 8 bytes where the sender keeps to the rules.
    pub span_id: &'a [u8],
    raw: &'a [u8],
}

impl<'a> Span<'a> {
    /// Reads an encoded span.
    pub fn read(raw: &'a [u8]) -> Span<'a> {
        Span::read_with(raw, |_, _| {})
    }

    /// Reads an encoded span and hands over its attributes on the way, in order: one pass instead of two. With each comes the span's
    /// name, which SDKs write before them; where another order is kept it is empty.
    #[inline]
    pub fn read_with(raw: &'a [u8], mut on_attribute: impl FnMut(Text<'a>, KeyValue<'a>)) -> Span<'a> {
        let mut span = Span { raw, ..Span::default() };
        let mut fields = Fields::of(raw);
        if let Some((front, rest)) = Front::split(raw) {
            (span.trace_id, span.span_id, span.parent_span_id) = (front.trace_id, front.span_id, front.parent_span_id);
            (span.name, span.kind) = (Text(front.name), front.kind.into());
            span.start_time_unix_nano = front.start_time_unix_nano;
            span.end_time_unix_nano = front.end_time_unix_nano;
            fields = Fields::of(rest);
        }
        loop {
            // Most fields of most spans are short attributes.
            while let Some(attribute) = fields.next_short(9) {
                on_attribute(span.name, KeyValue::read(attribute));
            }
            let Some(field) = fields.next() else { return span };
            match (field.number, field.value) {
                (1, Wire::Bytes(id)) => span.trace_id = id,
                (2, Wire::Bytes(id)) => span.span_id = id,
                (3, Wire::Bytes(state)) => span.trace_state = Text(state),
                (4, Wire::Bytes(id)) => span.parent_span_id = id,
                (5, Wire::Bytes(name)) => span.name = Text(name),
                (6, Wire::Varint(kind)) => span.kind = kind as i32,
                (7, Wire::Fixed64(time)) => span.start_time_unix_nano = time,
                (8, Wire::Fixed64(time)) => span.end_time_unix_nano = time,
                (9, Wire::Bytes(attribute)) => on_attribute(span.name, KeyValue::read(attribute)),
                (10, Wire::Varint(count)) => span.dropped_attributes_count = count as u32,
                (11, Wire::Bytes(_)) => span.has_events = true,
                (12, Wire::Varint(count)) => span.dropped_events_count = count as u32,
                (14, Wire::Varint(count)) => span.dropped_links_count = count as u32,
                (15, Wire::Bytes(status)) => (span.status_code, span.status_message) = read_status(status),
                (16, Wire::Fixed32(flags)) => span.flags = flags,
                _ => {}
            }
        }
    }

    /// Its attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = KeyValue<'a>> + use<'a> {
        repeated(self.raw, 9).map(KeyValue::read)
    }

    /// Its events, in order.
    pub fn events(&self) -> impl Iterator<Item = SpanEvent<'a>> + use<'a> {
        repeated(self.raw, 11).map(SpanEvent::read)
    }

    /// Its links, in order.
    pub fn links(&self) -> impl Iterator<Item = SpanLink<'a>> + use<'a> {
        repeated(self.raw, 13).map(SpanLink::read)
    }

    /// The encoded span.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }
}

/// Apart from the span, which is not to be moved once somebody knows where it is.
fn read_status(raw: &[u8]) -> (StatusCode, Text<'_>) {
    let (mut code, mut message) = (StatusCode::Unset, Text::default());
    for field in Fields::of(raw) {
        match (field.number, field.value) {
            (2, Wire::Bytes(text)) => message = Text(text),
            (3, Wire::Varint(1)) => code = StatusCode::Ok,
            (3, Wire::Varint(2)) => code = StatusCode::Error,
            (3, Wire::Varint(_)) => code = StatusCode::Unset,
            _ => {}
        }
    }
    (code, message)
}

impl<'a> SpanEvent<'a> {
    fn read(raw: &'a [u8]) -> SpanEvent<'a> {
        let mut event = SpanEvent { raw, ..SpanEvent::default() };
        for field in Fields::of(raw) {
            match (field.number, field.value) {
                (1, Wire::Fixed64(time)) => event.time_unix_nano = time,
                (2, Wire::Bytes(name)) => event.name = Text(name),
                _ => {}
            }
        }
        event
    }

    /// Its attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = KeyValue<'a>> + use<'a> {
        repeated(self.raw, 3).map(KeyValue::read)
    }
}

impl<'a> SpanLink<'a> {
    fn read(raw: &'a [u8]) -> SpanLink<'a> {
        let mut link = SpanLink { raw, ..SpanLink::default() };
        for field in Fields::of(raw) {
            match (field.number, field.value) {
                (1, Wire::Bytes(id)) => link.trace_id = id,
                (2, Wire::Bytes(id)) => link.span_id = id,
                _ => {}
            }
        }
        link
    }

    /// Its attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = KeyValue<'a>> + use<'a> {
        repeated(self.raw, 4).map(KeyValue::read)
    }
}
