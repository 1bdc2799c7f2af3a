//! The words of a page: what its events say, each once.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::page::Row;
use super::stored::is_same;
use crate::event::words;

/// Collects the words of pages, in room that is kept from one to the next.
#[derive(Debug, Default)]
pub struct Vocabulary {
    said: String,
    distinct: String,
}

impl Vocabulary {
    /// The words of a page.
    pub fn of(&mut self, rows: &[&Row<'_>]) -> String {
        /// About as many as a page has.
        const ROOM: usize = 512;
        self.said.clear();
        self.distinct.clear();
        let mut told = Told::default();
        rows.iter().for_each(|row| row.event.push_searchable(&mut told, &mut self.said));
        let mut seen = HashSet::with_capacity_and_hasher(ROOM, RandomState::default());
        for word in words::words(&self.said).filter(|word| seen.insert(*word)) {
            self.distinct.push_str(word);
            self.distinct.push(' ');
        }
        self.distinct.clone()
    }
}

/// Some of what was said, so that it need not be looked through again. Events of one kind, run or agent have much in common.
#[derive(Debug)]
pub struct Told<'a>([&'a str; Told::PLACES]);

impl Default for Told<'_> {
    fn default() -> Self {
        Told([""; Told::PLACES])
    }
}

impl<'a> Told<'a> {
    const PLACES: usize = 64;

    /// Whether a text is new, as far as that is remembered. Each kind of texts has places of its own, which go by the length.
    pub fn is_new(&mut self, kind: usize, text: &'a str) -> bool {
        let place = &mut self.0[(kind * 5 + text.len()) % Told::PLACES];
        !is_same(std::mem::replace(place, text), text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::event::words::searchable;
    use crate::history::stored::Narrow;
    use crate::history::tests::some_event;

    proptest! {
        /// Whether the events are in memory or in the journal.
        #[test]
        fn a_page_has_the_words_of_its_events(events in vec(some_event(), 1..20), in_memory in vec(any::<bool>(), 20)) {
            let jsons: Vec<String> = events.iter().map(|event| event.to_json()).collect();
            let rows: Vec<Row<'_>> = (events.iter().zip(&jsons).zip(in_memory))
                .map(|((event, json), in_memory)| Row {
                    offset: 0,
                    came: event.timestamp,
                    event: if in_memory { Narrow::of(event) } else { Narrow::read(json).unwrap() },
                    json,
                })
                .collect();
            let mut vocabulary = Vocabulary::default();
            for (rows, events) in rows.iter().collect::<Vec<_>>().chunks(5).zip(events.chunks(5)) {
                let page = vocabulary.of(rows);
                let known: Vec<&str> = page.split(' ').filter(|word| !word.is_empty()).collect();
                let texts: Vec<String> = events.iter().map(searchable).collect();
                let words: BTreeSet<&str> = texts.iter().flat_map(|text| words::words(text)).collect();
                prop_assert_eq!(known.len(), words.len(), "each once");
                prop_assert_eq!(known.into_iter().collect::<BTreeSet<_>>(), words);
            }
        }
    }
}
