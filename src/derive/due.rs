//! When runs are to be looked at: what a heap would be, for as many as begin in seconds of full load.
//!
//! A heap of hundreds of thousands is in no cache, and each run that leaves it waits for memory at every level. Here
//! times are put down by the moment that they are in, and only the moment that comes next is put in order.

use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;

use super::runs::RunIx;
use crate::event::Timestamp;

/// Runs with the times at which they are due.
#[derive(Debug, Default)]
pub struct Due {
    moments: BTreeMap<i64, Vec<(Timestamp, RunIx)>>,
    /// The moment whose times are in order, the next one last.
    in_order: Option<i64>,
}

impl Due {
    /// A moment has this many bits of microseconds, some 16 milliseconds.
    const MOMENT: u32 = 14;

    /// Puts a time down.
    pub fn push(&mut self, due: Timestamp, ix: RunIx) {
        let moment = due.as_micros() >> Due::MOMENT;
        self.moments.entry(moment).or_default().push((due, ix));
        self.in_order = self.in_order.filter(|in_order| *in_order != moment);
    }

    /// The run that is due next, and when.
    pub fn peek(&mut self) -> Option<(Timestamp, RunIx)> {
        self.next()?.get().last().copied()
    }

    /// The same, which is then no longer there.
    pub fn pop(&mut self) -> Option<(Timestamp, RunIx)> {
        let mut moment = self.next()?;
        let next = moment.get_mut().pop();
        if moment.get().is_empty() {
            moment.remove();
        }
        next
    }

    /// The moment that comes next, in order. None is ever empty.
    fn next(&mut self) -> Option<OccupiedEntry<'_, i64, Vec<(Timestamp, RunIx)>>> {
        let mut moment = self.moments.first_entry()?;
        if self.in_order != Some(*moment.key()) {
            self.in_order = Some(*moment.key());
            moment.get_mut().sort_unstable_by(|one, other| other.cmp(one));
        }
        Some(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    proptest! {
        #[test]
        fn they_come_as_from_a_heap(steps in prop::collection::vec((any::<bool>(), -100_000i64..100_000, 0..5u32), 0..200)) {
            let (mut due, mut heap) = (Due::default(), BinaryHeap::new());
            for (comes, micros, run) in steps {
                if comes {
                    let (time, ix) = (Timestamp::from_micros(micros), RunIx::of(run));
                    due.push(time, ix);
                    heap.push(Reverse((time, ix)));
                } else {
                    prop_assert_eq!(due.peek(), heap.peek().map(|Reverse(next)| *next));
                    prop_assert_eq!(due.pop(), heap.pop().map(|Reverse(next)| next));
                }
            }
        }
    }
}
