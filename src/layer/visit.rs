//! The values of fields, written down as they are visited.
//!
//! `Debug` and `Display` of the agent's own types run here: outside every lock, cut off where they become too long,
//! and caught where they panic.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use tracing::field::{Field, Visit};

use super::callsite::{Callsite, Slot};
use super::command::{Value, put_field};

/// Writes the fields of one callsite into two payloads: facts, and content.
pub struct Fields<'c> {
    callsite: &'c Callsite,
    scratch: Scratch,
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
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch { facts: Vec::new(), content: Vec::new() }) };
}

/// The longest text of a field, in bytes; what is longer is cut at a character.
pub const MOST_CONTENT: usize = 64 << 10;
const MOST_FACT: usize = 2 << 10;
/// Facts that are longer than this travel with the content.
const SHORT: usize = 512;

impl Scratch {
    /// The room of this thread. Whoever comes while it is in use gets new room.
    #[inline]
    pub fn take() -> Scratch {
        SCRATCH.try_with(Cell::take).unwrap_or_default()
    }

    /// Gives the room back.
    #[inline]
    pub fn put_back(mut self) {
        self.facts.clear();
        self.content.clear();
        if self.facts.capacity() + self.content.capacity() < 4 * MOST_CONTENT {
            // A thread that is ending has no place for it any more.
            SCRATCH.try_with(|scratch| scratch.set(self)).ok();
        }
    }
}

impl<'c> Fields<'c> {
    /// Of a callsite.
    #[inline]
    pub fn of(callsite: &'c Callsite, scratch: Scratch) -> Fields<'c> {
        Fields { callsite, scratch }
    }

    /// What was written.
    #[inline]
    pub fn done(self) -> Scratch {
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
        put_field(&mut self.scratch.content, field.index() as u16, &Value::Text(cut(text, most)));
    }

    #[cold]
    fn put_formatted(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let most = match self.callsite.slot(field) {
            Slot::Skip => return,
            Slot::Fact => MOST_FACT,
            Slot::Content => MOST_CONTENT,
        };
        let text = format_at_most(value, most);
        self.put_text(field, &text);
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
    let mut text = Bounded { text: String::new(), most };
    // A full buffer ends the formatting with an error, which is what it is for.
    let formatted = catch_unwind(AssertUnwindSafe(|| text.write_fmt(value).is_ok()));
    if formatted.is_err() {
        text.text.push_str("<panicked while it was formatted>");
    }
    text.text
}

fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most.min(text.len()))]
}

struct Bounded {
    text: String,
    most: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.most.saturating_sub(self.text.len());
        self.text.push_str(cut(more, room));
        if more.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
