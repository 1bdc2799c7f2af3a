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
    word: Word,
}

/// What a span is: none of ours, or of which callsite, and whether the OpenTelemetry layer was asked for its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(u32);

const PLACES: usize = 128;

thread_local! {
    static ENTRIES: [Cell<Entry>; PLACES] =
        const { [const { Cell::new(Entry { span: 0, layer: 0, word: Word(0) }) }; PLACES] };
}

impl Recent {
    /// Nothing remembered.
    pub fn new() -> Recent {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Recent { layer: NEXT.fetch_add(1, Relaxed) }
    }

    /// Remembers a word about a span.
    #[inline]
    pub fn remember(&self, span: u64, word: Word) {
        // A thread that is ending remembers nothing, and asks.
        ENTRIES.try_with(|entries| entries[self.place(span)].set(Entry { span, layer: self.layer, word })).ok();
    }

    /// What is remembered about a span.
    #[inline]
    pub fn recall(&self, span: u64) -> Option<Word> {
        let entry = ENTRIES.try_with(|entries| entries[self.place(span)].get()).ok()?;
        (entry.span == span && entry.layer == self.layer).then_some(entry.word)
    }

    #[inline]
    fn place(&self, span: u64) -> usize {
        let mixed = (span ^ u64::from(self.layer)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (64 - PLACES.trailing_zeros())) as usize
    }
}

impl Word {
    const ASKED: u32 = 1 << 31;
    const ELSEWHERE: u32 = 1 << 30;
    const NUMBER: u32 = Word::ELSEWHERE - 1;

    /// Of a span of this callsite; none is one that is not ours.
    #[inline]
    pub fn of(callsite: Option<u32>) -> Word {
        Word(callsite.map_or(0, |number| number + 1))
    }

    /// The same of a span that another thread made.
    pub fn elsewhere(self) -> Word {
        Word(self.0 | Word::ELSEWHERE)
    }

    /// The same once the ids were asked for.
    #[inline]
    pub fn asked(self) -> Word {
        Word(self.0 | Word::ASKED)
    }

    /// The callsite, if it is ours.
    #[inline]
    pub fn callsite(self) -> Option<u32> {
        (self.0 & Word::NUMBER).checked_sub(1)
    }

    /// Whether another thread made it.
    #[inline]
    pub fn is_from_elsewhere(self) -> bool {
        self.0 & Word::ELSEWHERE != 0
    }

    /// Whether the ids were asked for.
    #[inline]
    pub fn has_asked(self) -> bool {
        self.0 & Word::ASKED != 0
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
        let (ours, foreign) = (Word::of(Some(0)), Word::of(None));
        one.remember(7, ours);
        assert_eq!((one.recall(7), other.recall(7)), (Some(ours), None));
        one.remember(7, foreign);
        assert_eq!(one.recall(7), Some(foreign));
        (0..100_000).for_each(|span| one.remember(span + 8, ours));
        assert_ne!(one.recall(7), Some(foreign));
    }

    #[test]
    fn a_word_says_several_things() {
        for callsite in [None, Some(0), Some(8191)] {
            let word = Word::of(callsite);
            assert_eq!((word.callsite(), word.has_asked(), word.is_from_elsewhere()), (callsite, false, false));
            let word = word.elsewhere().asked();
            assert_eq!((word.callsite(), word.has_asked(), word.is_from_elsewhere()), (callsite, true, true));
        }
    }
}
