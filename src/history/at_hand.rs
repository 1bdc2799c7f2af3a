//! The events that the journal was given last, while they are in memory: they need neither be read there nor parsed. What it
//! could not write is entered as well if it is still here by then, since who listened was shown it under the same offset.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::page::Row;
use super::stored::Narrow;
use crate::event::Timestamp;
use crate::flow::SharedRecord;

/// Some events in the order of their offsets. When there is no room the oldest go: what the journal has is read there.
#[derive(Debug, Default)]
pub struct AtHand(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<Fresh>,
    bytes: usize,
}

/// An event that the journal was given.
#[derive(Debug)]
pub struct Fresh {
    offset: u64,
    came: Timestamp,
    record: SharedRecord,
}

impl AtHand {
    const MOST: usize = 8000;
    const MOST_BYTES: usize = 16 << 20;

    /// Keeps events, behind those that were kept before.
    pub fn keep(&self, offsets: Range<u64>, records: &[SharedRecord], came: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (offset, record) in offsets.zip(records.iter().cloned()) {
            let fresh = Fresh { offset, came, record };
            kept.bytes += fresh.size();
            kept.events.push_back(fresh);
        }
        while kept.events.len() > AtHand::MOST || kept.bytes > AtHand::MOST_BYTES {
            kept.forget_first();
        }
    }

    /// Gives out the events from an offset on that lie before another, as far as none is missing between them, at most so
    /// many. There are none if the first of them is not here; those before it are forgotten.
    pub fn take(&self, offsets: Range<u64>, most: usize) -> Vec<Fresh> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.events.front().is_some_and(|fresh| fresh.offset < offsets.start) {
            kept.forget_first();
        }
        let is_next = |(fresh, offset): &(&Fresh, u64)| fresh.offset == *offset;
        let number = kept.events.iter().zip(offsets).take(most).take_while(is_next).count();
        let taken: Vec<Fresh> = kept.events.drain(..number).collect();
        kept.bytes -= taken.iter().map(Fresh::size).sum::<usize>();
        taken
    }
}

impl Kept {
    fn forget_first(&mut self) {
        self.bytes -= self.events.pop_front().map_or(0, |fresh| fresh.size());
    }
}

impl Fresh {
    /// Its row.
    pub fn row(&self) -> Row<'_> {
        let event = Narrow::of(self.record.event());
        Row { offset: self.offset, came: self.came, event, json: self.record.json() }
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// About what it takes in memory.
    fn size(&self) -> usize {
        2048 + 2 * self.record.event().data.as_json().len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{Data, Event};
    use crate::flow::Record;

    fn records(number: usize, said: usize) -> Vec<SharedRecord> {
        let record = |at: usize| {
            let mut event = Event::agent_started(&at.to_string());
            event.data = Data::build(|data| data.str("said", &"x".repeat(said)));
            Arc::new(Record::new(event))
        };
        (0..number).map(record).collect()
    }

    const NONE: [u64; 0] = [];

    fn offsets(taken: &[Fresh]) -> Vec<u64> {
        taken.iter().map(Fresh::offset).collect()
    }

    #[test]
    fn what_is_next_is_given_out_as_far_as_nothing_is_missing() {
        let at_hand = AtHand::default();
        at_hand.keep(10..14, &records(4, 0), Timestamp::default());
        at_hand.keep(16..18, &records(2, 0), Timestamp::default());
        assert_eq!(offsets(&at_hand.take(9..18, 100)), NONE);
        assert_eq!(offsets(&at_hand.take(10..18, 1)), [10]);
        assert_eq!(offsets(&at_hand.take(12..13, 100)), [12], "and 11 is forgotten");
        assert_eq!(offsets(&at_hand.take(11..18, 100)), NONE);
        assert_eq!(offsets(&at_hand.take(13..18, 100)), [13]);
        assert_eq!(offsets(&at_hand.take(14..18, 100)), NONE, "the journal knows what became of 14");
        assert_eq!(offsets(&at_hand.take(16..18, 100)), [16, 17]);
        let kept = at_hand.0.lock().unwrap();
        assert_eq!((kept.events.len(), kept.bytes), (0, 0));
    }

    #[test]
    fn it_is_bounded_and_the_latest_stay() {
        let at_hand = AtHand::default();
        at_hand.keep(0..10_000, &records(10_000, 0), Timestamp::default());
        assert_eq!(offsets(&at_hand.take(2000..10_000, 2)), [2000, 2001]);
        at_hand.keep(10_000..10_020, &records(20, 1 << 20), Timestamp::default());
        assert_eq!(offsets(&at_hand.take(10_013..10_020, 100)), (10_013..10_020).collect::<Vec<_>>());
    }
}
