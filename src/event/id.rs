//! Identifiers: W3C trace and span ids, and the id of an event.

use std::fmt;

use uuid::Uuid;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// A W3C trace id: 16 bytes, not all zero. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId([u8; 16]);

/// A W3C span id: 8 bytes, not all zero. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId([u8; 8]);

/// What makes an event the same event wherever it is derived.
///
/// Facts of a span get a UUIDv8 made from the span and the fact, so that an agent's own process and a
/// collector that sees its spans agree on it; all others get a UUIDv7.
///
/// ```
/// use spanlight::event::{EventId, SpanId, TraceId};
///
/// let trace = TraceId::from_bytes(&[1; 16]).unwrap();
/// let span = SpanId::from_bytes(&[2; 8]).unwrap();
/// let id = EventId::of_span_fact(trace, span, "agent.started", 0);
/// assert_eq!(id, EventId::of_span_fact(trace, span, "agent.started", 0));
/// assert_ne!(id, EventId::of_span_fact(trace, span, "agent.completed", 0));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(Uuid);

impl TraceId {
    /// The id, unless the bytes are not 16 or all zero.
    pub fn from_bytes(bytes: &[u8]) -> Option<TraceId> {
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        (bytes != [0; 16]).then_some(TraceId(bytes))
    }

    /// The id of 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<TraceId> {
        TraceId::from_bytes(&parse_hex::<16>(text)?)
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Appends the 32 hexadecimal digits.
    pub(crate) fn push_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(hex(&self.0).as_flattened());
    }
}

impl SpanId {
    /// The smallest one, for whoever makes ids and comes upon none.
    pub const FIRST: SpanId = SpanId([0, 0, 0, 0, 0, 0, 0, 1]);

    /// The id, unless the bytes are not 8 or all zero.
    pub fn from_bytes(bytes: &[u8]) -> Option<SpanId> {
        let bytes: [u8; 8] = bytes.try_into().ok()?;
        (bytes != [0; 8]).then_some(SpanId(bytes))
    }

    /// The id of 16 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<SpanId> {
        SpanId::from_bytes(&parse_hex::<8>(text)?)
    }

    /// The 8 bytes.
    pub fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }

    /// Appends the 16 hexadecimal digits.
    pub(crate) fn push_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(hex(&self.0).as_flattened());
    }
}

impl EventId {
    /// The id of a fact about a span: UUIDv8 of XXH3-128 over the trace id, the span id, the sequence number
    /// as four bytes in network order, and the event's name. `sequence` counts the events of this name within
    /// the span.
    pub fn of_span_fact(trace_id: TraceId, span_id: SpanId, name: &str, sequence: u32) -> EventId {
        EventId::of_parts([&trace_id.0[..], &span_id.0, &sequence.to_be_bytes(), name.as_bytes()].into_iter())
    }

    /// UUIDv8 of XXH3-128 over the parts, one behind the other.
    fn of_parts<'a>(parts: impl Iterator<Item = &'a [u8]> + Clone) -> EventId {
        // A hash that is fed piece by piece carries half a kilobyte, and nearly all that is hashed is short.
        let mut room = [0; 96];
        let mut len = 0;
        for part in parts.clone() {
            let Some(place) = room.get_mut(len..len + part.len()) else {
                let mut hash = Xxh3::new();
                parts.for_each(|part| hash.update(part));
                return EventId(Uuid::new_v8(hash.digest128().to_be_bytes()));
            };
            place.copy_from_slice(part);
            len += part.len();
        }
        EventId(Uuid::new_v8(xxh3_128(&room[..len]).to_be_bytes()))
    }

    /// The id of an event that another one implies, however often that one is read: UUIDv8 of XXH3-128 over the
    /// other's id and this one's name.
    pub fn of_implied(by: EventId, name: &str) -> EventId {
        EventId::of_parts([&by.0.as_bytes()[..], name.as_bytes()].into_iter())
    }

    /// The id of an event that another system knows by a text which is no UUID, however often it comes.
    pub(crate) fn of_foreign(id: &str) -> EventId {
        EventId::of_parts(std::iter::once(id.as_bytes()))
    }

    /// The id of an event of which these words say which it is: UUIDv8 of XXH3-128 over the words, each with a zero
    /// behind it.
    pub fn of_words(words: &[&str]) -> EventId {
        EventId::of_parts(words.iter().flat_map(|word| [word.as_bytes(), &[0]]))
    }

    /// The id of an event that is no fact of a span, seen now.
    pub fn new_random() -> EventId {
        EventId(Uuid::now_v7())
    }

    /// The id of a UUID in any of its textual forms.
    pub fn parse(text: &str) -> Option<EventId> {
        Uuid::try_parse(text).ok().map(EventId)
    }

    /// Appends the UUID with hyphens.
    pub(crate) fn push_to(self, out: &mut Vec<u8>) {
        let digits = hex(self.0.as_bytes());
        let digits = digits.as_flattened();
        let mut text = [b'-'; 36];
        for (from, to, at) in [(0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24)] {
            text[at..at + to - from].copy_from_slice(&digits[from..to]);
        }
        out.extend_from_slice(&text);
    }

    /// The UUID.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Hexadecimal digits in lower case. By hand, because ids stand many times in every event; reckoned, because what is looked
/// up in a table is not done for many bytes at once.
#[inline]
fn hex<const N: usize>(bytes: &[u8; N]) -> [[u8; 2]; N] {
    let digit = |half: u8| half + b'0' + u8::from(half > 9) * (b'a' - b'0' - 10);
    let mut digits = [[0; 2]; N];
    for (pair, byte) in digits.iter_mut().zip(bytes) {
        *pair = [digit(byte >> 4), digit(byte & 15)];
    }
    digits
}

macro_rules! hex_display {
    ($($id:ty),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(hex(&self.0).as_flattened()).unwrap_or_default())
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}
hex_display!(TraceId, SpanId);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_are_written_as_others_write_them(bytes: [u8; 16]) {
            let mut text = Vec::new();
            EventId(Uuid::from_bytes(bytes)).push_to(&mut text);
            prop_assert_eq!(String::from_utf8(text).unwrap(), Uuid::from_bytes(bytes).to_string());
            if let Some(trace) = TraceId::from_bytes(&bytes) {
                prop_assert_eq!(trace.to_string(), Uuid::from_bytes(bytes).simple().to_string());
                prop_assert_eq!(TraceId::from_hex(&trace.to_string()), Some(trace));
            }
        }
    }

    #[test]
    fn span_facts_have_ids_that_other_implementations_can_compute() {
        let trace = TraceId::from_hex("000102030405060708090a0b0c0d0e0f").unwrap();
        let span = SpanId::from_hex("0001020304050607").unwrap();
        for name in ["agent.started", &"a name that nobody gives: ".repeat(9)] {
            let id = EventId::of_span_fact(trace, span, name, 0);
            assert_eq!(id.uuid().get_version_num(), 8);
            let mut input = Vec::new();
            input.extend(trace.as_bytes());
            input.extend(span.as_bytes());
            input.extend(0u32.to_be_bytes());
            input.extend(name.as_bytes());
            assert_eq!(id.uuid(), Uuid::new_v8(xxh3_128(&input).to_be_bytes()));
        }
    }

    #[test]
    fn ids_are_valid_or_not_there() {
        assert_eq!(TraceId::from_bytes(&[0; 16]), None);
        assert_eq!(TraceId::from_bytes(&[1; 15]), None);
        assert_eq!(TraceId::from_hex("0g"), None);
        assert_eq!(SpanId::from_hex("ABCDEF0123456789").unwrap().to_string(), "abcdef0123456789");
    }
}
