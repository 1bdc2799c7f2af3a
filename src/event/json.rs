//! Writing JSON objects straight into a buffer.
//!
//! An event is written far more often than it is read into, so it goes to JSON without a tree in between.

use std::fmt::Display;
use std::io::Write as _;
use std::ops::Range;

/// The name of a member of ours as it stands in JSON behind another one, `,"name":`: one piece, which is put in place at once.
#[derive(Clone, Copy)]
pub struct Member(&'static str);

/// A [`Member`] of a literal.
macro_rules! member {
    ($name:literal) => {
        $crate::event::json::Member::new(concat!(",\"", $name, "\":"))
    };
}
pub(crate) use member;

/// An object being written; [`JsonObject::end`] closes it.
pub struct JsonObject<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Member {
    /// Of the macro.
    pub(crate) const fn new(text: &'static str) -> Member {
        Member(text)
    }

    /// The name alone.
    pub(crate) fn name(self) -> &'static str {
        self.0.trim_start_matches(",\"").trim_end_matches("\":")
    }
}

impl<'a> JsonObject<'a> {
    /// Opens an object.
    pub fn begin(out: &'a mut Vec<u8>) -> JsonObject<'a> {
        out.push(b'{');
        JsonObject { out, empty: true }
    }

    /// Closes it.
    pub fn end(self) {
        self.out.push(b'}');
    }

    /// Where in the buffer it goes on.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Members that stand in this place of the buffer, with the comma before each.
    pub(crate) fn again(&mut self, members: Range<usize>) {
        self.out.extend_from_within(members);
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// Writes the key and hands out the buffer for the value. Keys are ours, so they need no escaping.
    // Inlined, because there the key's length is known, and copying it is a store or two.
    #[inline(always)]
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// The same of a name that is known when the program is built.
    #[inline(always)]
    pub(crate) fn member(&mut self, Member(name): Member) -> &mut Vec<u8> {
        if std::mem::take(&mut self.empty) {
            self.out.extend_from_slice(&name.as_bytes()[1..]);
        } else {
            self.out.extend_from_slice(name.as_bytes());
        }
        self.out
    }

    /// Text.
    #[inline]
    pub fn str(&mut self, key: &str, value: &str) {
        push_str(self.key(key), value);
    }

    /// A word of ours, which needs no escaping.
    #[inline]
    pub fn word(&mut self, key: &str, word: &'static str) {
        push_word(self.key(key), word);
    }

    /// Text, if there is any.
    #[inline]
    pub fn opt_str(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.str(key, value);
        }
    }

    /// Anything whose text needs no escaping, in quotes.
    pub fn display(&mut self, key: &str, value: impl Display) {
        self.quoted(key, |out| push_display(out, value));
    }

    /// What `write` writes and needs no escaping, in quotes.
    #[inline]
    pub fn quoted(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        push_quoted(self.key(key), write);
    }

    /// An integer.
    pub fn u64(&mut self, key: &str, value: u64) {
        push_number(self.key(key), &value);
    }

    /// An integer, if there is one.
    pub fn opt_u64(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.u64(key, value);
        }
    }

    /// A number; infinities and NaN, which JSON lacks, become `null`.
    pub fn f64(&mut self, key: &str, value: f64) {
        push_f64(self.key(key), value);
    }

    /// A number, if there is one.
    pub fn opt_f64(&mut self, key: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.f64(key, value);
        }
    }

    /// A truth value.
    pub fn bool(&mut self, key: &str, value: bool) {
        self.key(key).extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Text that is JSON already.
    pub fn raw(&mut self, key: &str, json: &[u8]) {
        self.key(key).extend_from_slice(json);
    }
}

/// Appends what is written and needs no escaping, in quotes.
#[inline]
pub fn push_quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

/// Appends a word of ours, which needs no escaping.
#[inline]
pub fn push_word(out: &mut Vec<u8>, word: &'static str) {
    push_quoted(out, |out| out.extend_from_slice(word.as_bytes()));
}

/// Appends a string with quotes and escapes.
pub fn push_str(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    push_quoted(out, |out| push_text(out, text));
}

/// Appends text with escapes, and without quotes.
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        push_escaped(out, text);
    }
}

/// Whether nothing in a text needs an escape, as in almost every one. Sixteen bytes at a time, or eight of short ones, without
/// stopping, which processors do at once; the last may overlap those before.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    has_plain_chunks::<16>(text)
        .or_else(|| has_plain_chunks::<8>(text))
        .unwrap_or_else(|| !text.iter().any(|byte| needs_escape(*byte)))
}

/// The same of a text that has so many bytes at least.
#[inline]
fn has_plain_chunks<const N: usize>(text: &[u8]) -> Option<bool> {
    let any = |bytes: &[u8; N]| bytes.iter().fold(false, |any, byte| any | needs_escape(*byte));
    let last = any(text.last_chunk()?);
    Some(!text.as_chunks().0.iter().fold(last, |all, bytes| all | any(bytes)))
}

fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut written = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| needs_escape(*byte)) {
        out.extend_from_slice(&text.as_bytes()[written..at]);
        written = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => push_display(out, format_args!("\\u{byte:04x}")),
        }
    }
    out.extend_from_slice(&text.as_bytes()[written..]);
}

/// Appends a number; infinities and NaN, which JSON lacks, become `null`.
pub fn push_f64(out: &mut Vec<u8>, value: f64) {
    match serde_json::Number::from_f64(value) {
        // Whole numbers are written as such: 2500, not 2500.0.
        Some(_) if value.fract() == 0.0 && value.abs() < 1e15 => push_number(out, &(value as i64)),
        Some(_) => push_number(out, &value),
        None => out.extend_from_slice(b"null"),
    }
}

#[inline]
fn needs_escape(byte: u8) -> bool {
    // Without branches, so that many bytes can be looked at at once.
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// Appends a whole number.
pub fn push_u64(out: &mut Vec<u8>, number: u64) {
    push_number(out, &number);
}

/// Numbers are not written through `Display`, which pads and asks for much more than is wanted here.
fn push_number(out: &mut Vec<u8>, number: &impl serde::Serialize) {
    serde_json::to_writer(out, number).unwrap_or_default();
}

fn push_display(out: &mut Vec<u8>, value: impl Display) {
    // Writing into memory does not fail, and a `Display` that does has written what it could.
    write!(out, "{value}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_are_escaped_as_json_wants(text: String) {
            let mut out = Vec::new();
            push_str(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn numbers_keep_their_value(value: f64) {
            let mut out = Vec::new();
            push_f64(&mut out, value);
            let back: Option<f64> = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(back, value.is_finite().then_some(value));
        }
    }
}
