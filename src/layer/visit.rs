//! The values of fields, written down as they are visited.
//!
//! `Debug` and `Display` of the agent's own types run here: outside every lock, cut off where they become too long,
//! and caught where they panic.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing::field::{Field, Visit};

use super::callsite::{Callsite, Slot};
use super::command::{TEXT_HEADER, Value, put_field, put_text_with};
use crate::event;

/// Writes the fields of one callsite into two payloads: facts, and content.
pub struct Fields<'c> {
    callsite: &'c Callsite,
    scratch: Box<Scratch>,
}

/// Two payloads in the making. Each thread keeps the room for them.
#[derive(Debug, Default)]
pub struct Scratch {
    /// What the work is and how it went.
    pub facts: Vec<u8>,
    /// What went in and came out.
    pub content: Vec<u8>,
}

thread_local! {
    // Boxed, because it is moved out and in again for every command.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// The longest text of a field, in bytes; what is longer is cut at a character.
pub const MOST_CONTENT: usize = 64 << 10;
const MOST_FACT: usize = 2 << 10;
/// Facts that are longer than this travel with the content.
const SHORT: usize = 512;

/// Values that were cut, of whichever telemetry: fields are written down before it is known whose they are.
static CUT: AtomicU64 = AtomicU64::new(0);

/// How many values were cut so far in this process.
pub fn values_cut() -> u64 {
    CUT.load(Relaxed)
}

impl Scratch {
    /// The room of this thread. Whoever comes while it is in use gets new room.
    #[inline]
    pub fn take() -> Box<Scratch> {
        SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default()
    }

    /// Gives the room back.
    #[inline]
    pub fn put_back(mut self: Box<Scratch>) {
        self.facts.clear();
        self.content.clear();
        if self.facts.capacity() + self.content.capacity() < 4 * MOST_CONTENT {
            // A thread that is ending has no place for it any more.
            SCRATCH.try_with(|scratch| scratch.set(Some(self))).ok();
        }
    }
}

impl<'c> Fields<'c> {
    /// Of a callsite.
    #[inline]
    pub fn of(callsite: &'c Callsite, scratch: Box<Scratch>) -> Fields<'c> {
        Fields { callsite, scratch }
    }

    /// What was written.
    #[inline]
    pub fn done(self) -> Box<Scratch> {
        self.scratch
    }

    #[inline]
    fn put(&mut self, field: &Field, value: &Value<'_>) {
        let out = match self.callsite.slot(field) {
            Slot::Skip => return,
            Slot::Fact => &mut self.scratch.facts,
            Slot::Content => &mut self.scratch.content,
        };
        put_field(out, field.index() as u16, value);
    }

    fn put_text(&mut self, field: &Field, text: &str) {
        let (slot, most) = match self.callsite.slot(field) {
            Slot::Skip => return,
            Slot::Fact if text.len() <= SHORT => {
                return put_field(&mut self.scratch.facts, field.index() as u16, &Value::Text(text));
            }
            Slot::Fact => (Slot::Fact, MOST_FACT),
            Slot::Content => (Slot::Content, MOST_CONTENT),
        };
        debug_assert_ne!(slot, Slot::Skip);
        let cut = event::cut(text, most);
        count_if(cut.is_some());
        put_field(&mut self.scratch.content, field.index() as u16, &Value::Text(cut.as_deref().unwrap_or(text)));
    }

    /// Formats in place, where facts are, and moves what turns out to be too long for one.
    fn put_formatted(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let number = field.index() as u16;
        match self.callsite.slot(field) {
            Slot::Skip => {}
            Slot::Content => put_formatted(&mut self.scratch.content, number, value, MOST_CONTENT),
            Slot::Fact => {
                let before = self.scratch.facts.len();
                put_formatted(&mut self.scratch.facts, number, value, MOST_FACT);
                if self.scratch.facts.len() - before > TEXT_HEADER + SHORT {
                    self.scratch.content.extend_from_slice(&self.scratch.facts[before..]);
                    self.scratch.facts.truncate(before);
                }
            }
        }
    }
}

impl Visit for Fields<'_> {
    #[inline]
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, &Value::Double(value));
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, &Value::Int(value));
    }

    #[inline]
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &i64::try_from(value).map_or(Value::Uint(value), Value::Int));
    }

    #[inline]
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, &Value::Bool(value));
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put_formatted(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_formatted(field, format_args!("{value:?}"));
    }
}

/// What a value says of itself, as far as there is room for it.
pub fn format_at_most(value: fmt::Arguments<'_>, most: usize) -> String {
    let mut text = Vec::new();
    format_onto(&mut text, value, most);
    // Only whole characters are written.
    String::from_utf8(text).unwrap_or_default()
}

fn put_formatted(out: &mut Vec<u8>, number: u16, value: fmt::Arguments<'_>, most: usize) {
    put_text_with(out, number, |out| {
        let begin = out.len();
        let is_cut = format_onto(out, value, most);
        count_if(is_cut);
        if is_cut {
            // How much more there would have been is not found out.
            out.extend_from_slice(format!("…[cut: {} bytes of more]", out.len() - begin).as_bytes());
        }
    });
}

fn count_if(is_cut: bool) {
    if is_cut {
        CUT.fetch_add(1, Relaxed);
    }
}

/// Formats as far as there is room. Whether there was more.
fn format_onto(out: &mut Vec<u8>, value: fmt::Arguments<'_>, most: usize) -> bool {
    let mut text = Bounded { end: out.len() + most, is_cut: false, out };
    // A full buffer ends the formatting with an error, which is what it is for.
    let formatted = catch_unwind(AssertUnwindSafe(|| text.write_fmt(value).is_ok()));
    let is_cut = text.is_cut;
    if formatted.is_err() {
        out.extend_from_slice(b"<panicked while it was formatted>");
    }
    is_cut
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most.min(text.len()))]
}

struct Bounded<'o> {
    out: &'o mut Vec<u8>,
    end: usize,
    is_cut: bool,
}

impl Write for Bounded<'_> {
    #[inline]
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.end - self.out.len();
        self.out.extend_from_slice(cut(more, room).as_bytes());
        self.is_cut |= more.len() > room;
        if more.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::command::fields;

    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            loop {
                f.write_str("again and ")?;
            }
        }
    }

    #[test]
    fn formatting_ends_where_the_room_does() {
        assert_eq!(format_at_most(format_args!("{Endless}"), 23), "again and again and aga");
        assert_eq!(format_at_most(format_args!("{}", "déjà"), 2), "d");
        assert_eq!(format_at_most(format_args!("{}{}", "déjà", "vu"), 2), "d");
    }

    #[test]
    fn text_is_formatted_where_it_stays() {
        let mut out = Vec::new();
        put_formatted(&mut out, 3, format_args!("{}-{}", "gpt", 4), 64);
        put_formatted(&mut out, 4, format_args!("{Endless}"), 5);
        let read: Vec<_> = fields(&out).collect();
        assert_eq!(read, [(3, Value::Text("gpt-4")), (4, Value::Text("again…[cut: 5 bytes of more]"))]);
    }
}
