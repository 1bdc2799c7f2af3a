//! Sums by slots of time: fine ones for the last hours and coarse ones before, for windows of up to a day.

use std::ops::{AddAssign, Range};

use serde::{Deserialize, Serialize};

use crate::event::Timestamp;

/// Sums by slots of `FINE` seconds for the last `HOURS` hours and what has begun of another, and of `COARSE` seconds before. Of
/// both an hour has a whole number.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Slots<S, const FINE: i64, const HOURS: i64, const COARSE: i64> {
    /// In order. Those before `fine_since` are coarse.
    slots: Vec<Slot<S>>,
    /// Where an hour begins, in seconds since 1970.
    fine_since: i64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Slot<S> {
    from: i64,
    sums: S,
}

const HOUR: i64 = 3600;
/// What is older is in no window.
const KEPT: i64 = 26 * HOUR;

impl<S: Default + for<'s> AddAssign<&'s S>, const FINE: i64, const HOURS: i64, const COARSE: i64>
    Slots<S, FINE, HOURS, COARSE>
{
    /// The sums of the slot of a time.
    pub fn at(&mut self, at: Timestamp, now: Timestamp) -> &mut S {
        self.compact(now);
        self.slot(at.as_seconds())
    }

    /// Adds all that another one has.
    pub fn add(&mut self, other: &Self, now: Timestamp) {
        self.compact(now);
        for slot in &other.slots {
            *self.slot(slot.from) += &slot.sums;
        }
    }

    fn slot(&mut self, at: i64) -> &mut S {
        let from = Self::slot_of(at, self.fine_since).start;
        // What comes is mostly of the last slot.
        let place = match self.slots.last() {
            Some(last) if last.from == from => self.slots.len() - 1,
            _ => self.slots.partition_point(|slot| slot.from < from),
        };
        if self.slots.get(place).is_none_or(|slot| slot.from != from) {
            if self.slots.len() == self.slots.capacity() {
                // Twice as much each time would be room for a day that stays empty, in thousands of rows.
                self.slots.reserve_exact(16);
            }
            self.slots.insert(place, Slot { from, sums: S::default() });
        }
        &mut self.slots[place].sums
    }

    /// Fine slots become coarse ones once the last hours no longer need them. That changes from hour to hour only.
    pub fn compact(&mut self, now: Timestamp) {
        let now = now.as_seconds();
        let fine_since = (now.div_euclid(HOUR) - HOURS) * HOUR;
        if fine_since <= self.fine_since {
            return;
        }
        self.fine_since = fine_since;
        self.slots.retain(|slot| now - slot.from <= KEPT);
        for at in 0..self.slots.len() {
            self.slots[at].from = Self::slot_of(self.slots[at].from, fine_since).start;
        }
        self.slots.dedup_by(|later, slot| {
            let same = later.from == slot.from;
            if same {
                slot.sums += &later.sums;
            }
            same
        });
    }

    /// The sums of the slots that end after a time and begin by another. Slots are coarse before `fine_since`, which is that of
    /// the total of all rows: one that nothing was added to for a while has fine slots there still, and would be cut elsewhere.
    pub fn within(&self, since: Timestamp, to: Timestamp, fine_since: i64) -> impl Iterator<Item = &S> {
        let (since, to, fine_since) = (since.as_seconds(), to.as_seconds(), fine_since.max(self.fine_since));
        let first = self.slots.partition_point(|slot| Self::slot_of(slot.from, fine_since).end <= since);
        let begins_in_time = move |slot: &&Slot<S>| Self::slot_of(slot.from, fine_since).start <= to;
        self.slots[first..].iter().take_while(begins_in_time).map(|slot| &slot.sums)
    }

    /// Before this time slots are coarse, in seconds since 1970.
    pub fn fine_since(&self) -> i64 {
        self.fine_since
    }

    /// Where the last slot begins, in seconds since 1970, if there is one.
    pub fn last(&self) -> Option<i64> {
        self.slots.last().map(|slot| slot.from)
    }

    /// Where the slot of a time begins and ends.
    fn slot_of(at: i64, fine_since: i64) -> Range<i64> {
        let seconds = if at < fine_since { COARSE } else { FINE };
        let from = at.div_euclid(seconds) * seconds;
        from..from + seconds
    }

    /// Where the slots begin.
    #[cfg(test)]
    pub fn begins(&self) -> impl Iterator<Item = i64> {
        self.slots.iter().map(|slot| slot.from)
    }
}

impl<S, const FINE: i64, const HOURS: i64, const COARSE: i64> Default for Slots<S, FINE, HOURS, COARSE> {
    fn default() -> Slots<S, FINE, HOURS, COARSE> {
        Slots { slots: Vec::new(), fine_since: 0 }
    }
}
