//! The front of a span as nearly all SDKs write it: its fields before the attributes, each in its place.
//!
//! All of it is read at once. What is written otherwise is read field by field, by whoever asked.

use super::wire::short_bytes;

/// What stands in front of a span's attributes.
#[derive(Debug, PartialEq)]
pub struct Front<'a> {
    pub trace_id: &'a [u8; 16],
    pub span_id: &'a [u8; 8],
    /// Empty where there is none.
    pub parent_span_id: &'a [u8],
    /// Of less than 128 bytes, which may not be UTF-8 if the span was not checked.
    pub name: &'a [u8],
    pub kind: u8,
    pub start_time_unix_nano: u64,
    pub end_time_unix_nano: u64,
}

impl<'a> Front<'a> {
    /// The front of an encoded span and what is behind it; nothing if it is written otherwise.
    #[inline(always)]
    pub fn split(span: &'a [u8]) -> Option<(Front<'a>, &'a [u8])> {
        let rest = span.strip_prefix(&[1 << 3 | 2, 16])?;
        let (trace_id, rest) = rest.split_first_chunk()?;
        let rest = rest.strip_prefix(&[2 << 3 | 2, 8])?;
        let (span_id, rest) = rest.split_first_chunk()?;
        let (parent_span_id, rest) = short_bytes(rest, 4).unwrap_or((&[], rest));
        let (name, rest) = short_bytes(rest, 5)?;
        let [KIND, kind @ ..0x80, START, rest @ ..] = rest else { return None };
        let (start, rest) = rest.split_first_chunk()?;
        let (end, rest) = rest.strip_prefix(&[END])?.split_first_chunk()?;
        let (start_time_unix_nano, end_time_unix_nano) = (u64::from_le_bytes(*start), u64::from_le_bytes(*end));
        let front =
            Front { trace_id, span_id, parent_span_id, name, kind: *kind, start_time_unix_nano, end_time_unix_nano };
        Some((front, rest))
    }
}

// Tags: the number of a field, and how it is written.
const KIND: u8 = 6 << 3;
const START: u8 = 7 << 3 | 1;
const END: u8 = 8 << 3 | 1;

#[cfg(test)]
mod tests {
    use super::super::wire::{put_bytes, put_fixed64, put_u64};
    use super::*;

    fn span(parent: &[u8], name: &[u8]) -> Vec<u8> {
        let mut span = Vec::new();
        put_bytes(&mut span, 1, &[1; 16]);
        put_bytes(&mut span, 2, &[2; 8]);
        put_bytes(&mut span, 4, parent);
        put_bytes(&mut span, 5, name);
        put_u64(&mut span, 6, 3);
        put_fixed64(&mut span, 7, 10);
        put_fixed64(&mut span, 8, 20);
        put_bytes(&mut span, 9, b"attribute");
        span
    }

    #[test]
    fn what_stands_in_its_place_is_read_at_once_and_nothing_else() {
        for (parent, name) in [(&b""[..], &b"chat"[..]), (&[4; 8], b""), (&[4; 3], &[b'x'; 127])] {
            let span = span(parent, name);
            let (front, rest) = Front::split(&span).unwrap();
            assert_eq!((front.trace_id, front.span_id, front.parent_span_id), (&[1; 16], &[2; 8], parent));
            assert_eq!((front.name, front.kind), (name, 3));
            assert_eq!((front.start_time_unix_nano, front.end_time_unix_nano), (10, 20));
            assert_eq!(rest, &span[span.len() - 11..]);
            let short_of_it = (0..span.len() - 11).filter_map(|len| Front::split(&span[..len]));
            assert_eq!(short_of_it.count(), 0);
            assert_eq!(Front::split(&span[18..]), None);
        }
        assert_eq!(Front::split(&span(b"", &[b'x'; 128])), None);
    }
}
