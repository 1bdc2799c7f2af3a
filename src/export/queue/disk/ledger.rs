//! How much waits in a queue on disk, and how much of what is missing in it was never taken.

use std::collections::BTreeMap;
use std::ops::Range;

use super::entry::Sum;

/// The books of a queue.
#[derive(Debug, Default)]
pub struct Ledger {
    /// How much was ever put in.
    through: Sum,
    /// The offset behind the last of that.
    end: u64,
    waiting: Sum,
    /// By their first offsets: what is being written, and what was not, as long as nobody has read past it.
    appends: BTreeMap<u64, Append>,
}

#[derive(Debug)]
struct Append {
    end: u64,
    sum: Sum,
    refused: bool,
}

impl Ledger {
    /// Of a queue in which `waiting` waits, when `through` was put in up to now.
    pub fn new(through: Sum, waiting: Sum) -> Ledger {
        Ledger { through, end: 0, waiting, appends: BTreeMap::new() }
    }

    /// How much was ever put in.
    pub fn through(&self) -> Sum {
        self.through
    }

    /// How much waits.
    pub fn waiting(&self) -> Sum {
        self.waiting
    }

    /// So much is being written.
    pub fn begin(&mut self, offsets: Range<u64>, sum: Sum) {
        self.through = self.through + sum;
        self.waiting = self.waiting + sum;
        self.end = offsets.end;
        self.appends.insert(offsets.start, Append { end: offsets.end, sum, refused: false });
    }

    /// What begins there was written.
    pub fn written(&mut self, first: u64) {
        self.appends.remove(&first);
    }

    /// What begins there was not written, and whoever put it in was told.
    pub fn refused(&mut self, first: u64) {
        let Some(Append { end, sum, .. }) = self.appends.remove(&first) else { return };
        self.waiting = self.waiting - sum;
        if end == self.end {
            self.take_back(first, sum);
            return;
        }
        // What was put in behind it says how much there was before, with this.
        match self.appends.range_mut(..first).next_back() {
            // A disk may fail for long: that is one entry.
            Some((_, last)) if last.refused && last.end == first => {
                last.end = end;
                last.sum = last.sum + sum;
            }
            _ => drop(self.appends.insert(first, Append { end, sum, refused: true })),
        }
    }

    /// What was put in last, and what was refused right before it, was never put in: not even after a start will it be
    /// missing.
    fn take_back(&mut self, first: u64, sum: Sum) {
        (self.end, self.through) = (first, self.through - sum);
        while let Some(last) = self.appends.last_entry() {
            if !last.get().refused || last.get().end != self.end {
                return;
            }
            (self.end, self.through) = (*last.key(), self.through - last.get().sum);
            last.remove();
        }
    }

    /// Between two records offsets are missing, with `missing` in them. How much of that had been taken, and is lost.
    pub fn lost(&mut self, offsets: Range<u64>, missing: Sum) -> Sum {
        // What is still being written is none of them, unless nobody has heard yet that it was not.
        let refused: Vec<u64> = self.appends.range(offsets).map(|(first, _)| *first).collect();
        let mut lost = missing;
        for first in refused {
            let Some(append) = self.appends.get_mut(&first) else { continue };
            lost = lost - append.sum;
            if append.refused {
                self.appends.remove(&first);
            }
        }
        self.waiting = self.waiting - lost;
        lost
    }

    /// So much need not be kept any more.
    pub fn settled(&mut self, sum: Sum) {
        self.waiting = self.waiting - sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(items: u64) -> Sum {
        Sum { requests: 1, items, bytes: 10 * items }
    }

    #[test]
    fn what_was_refused_is_not_lost() {
        let mut ledger = Ledger::default();
        ledger.begin(0..1, items(5));
        ledger.begin(1..2, items(7));
        ledger.begin(2..3, items(1));
        ledger.begin(3..4, items(2));
        [0, 3].into_iter().for_each(|first| ledger.written(first));
        [1, 2].into_iter().for_each(|first| ledger.refused(first));
        assert_eq!((ledger.waiting().items, ledger.appends.len()), (7, 1));
        assert_eq!(ledger.lost(1..3, items(7) + items(1)), Sum::default());
        assert_eq!((ledger.waiting().items, ledger.appends.len()), (7, 0));
        ledger.settled(items(7) + items(0));
        assert_eq!(ledger.waiting().items, 0);
    }

    #[test]
    fn what_is_refused_last_was_never_put_in() {
        let mut ledger = Ledger::default();
        (0..4).for_each(|first| ledger.begin(first..first + 1, items(first + 1)));
        ledger.written(0);
        [2, 3, 1].into_iter().for_each(|first| ledger.refused(first));
        assert_eq!((ledger.through(), ledger.appends.len()), (items(1), 0));
        ledger.begin(4..5, items(9));
        assert_eq!(ledger.through(), items(1) + items(9));
        assert_eq!(ledger.lost(1..4, Sum::default()), Sum::default());
    }

    #[test]
    fn what_is_missing_and_was_taken_is_lost() {
        let mut ledger = Ledger::new(items(20), items(20));
        assert_eq!(ledger.lost(3..6, items(15)).items, 15);
        assert_eq!(ledger.waiting().items, 5);
        // Nobody has heard yet that it was not written.
        ledger.begin(9..10, items(4));
        assert_eq!(ledger.lost(9..10, items(4)), Sum::default());
        ledger.refused(9);
        assert_eq!(ledger.waiting().items, 5);
    }
}
