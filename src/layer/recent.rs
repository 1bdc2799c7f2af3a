//! A word about each of the spans that a thread met last, remembered by the thread itself.
//!
//! Span ids name the thread that made the span and a generation, and a thread that makes a span overwrites what it
//! knew of the id: what is remembered of an own span is never of an earlier one.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What one layer remembers. Layers share the room, and do not see what others have put there.
#[derive(Debug)]
pub struct Recent {
    layer: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    span: u64,
    layer: u32,
    word: bool,
}

const PLACES: usize = 128;

thread_local! {
    static ENTRIES: [Cell<Entry>; PLACES] =
        const { [const { Cell::new(Entry { span: 0, layer: 0, word: false }) }; PLACES] };
}

impl Recent {
    /// Nothing remembered.
    pub fn new() -> Recent {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Recent { layer: NEXT.fetch_add(1, Relaxed) }
    }

    /// Remembers a word about a span.
    #[inline]
    pub fn remember(&self, span: u64, word: bool) {
        // A thread that is ending remembers nothing, and asks.
        ENTRIES.try_with(|entries| entries[self.place(span)].set(Entry { span, layer: self.layer, word })).ok();
    }

    /// What is remembered about a span.
    #[inline]
    pub fn recall(&self, span: u64) -> Option<bool> {
        let entry = ENTRIES.try_with(|entries| entries[self.place(span)].get()).ok()?;
        (entry.span == span && entry.layer == self.layer).then_some(entry.word)
    }

    #[inline]
    fn place(&self, span: u64) -> usize {
        let mixed = (span ^ u64::from(self.layer)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (64 - PLACES.trailing_zeros())) as usize
    }
}

impl Default for Recent {
    fn default() -> Recent {
        Recent::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_do_not_take_one_anothers_word() {
        let (one, other) = (Recent::new(), Recent::new());
        one.remember(7, true);
        assert_eq!((one.recall(7), other.recall(7)), (Some(true), None));
        one.remember(7, false);
        assert_eq!(one.recall(7), Some(false));
        (0..100_000).for_each(|span| one.remember(span + 8, true));
        assert_ne!(one.recall(7), Some(true));
    }
}
