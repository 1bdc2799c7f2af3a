//! The time in which someone was busy: a union of intervals, so that overlapping work counts once.

use std::time::Duration;

use crate::event::Timestamp;

/// Disjoint intervals in order. Bounded: the oldest ones are forgotten, but stay counted.
#[derive(Clone, Debug, Default)]
pub struct Intervals {
    spans: Vec<(Timestamp, Timestamp)>,
}

impl Intervals {
    /// More than an hour of work in pieces of a few seconds.
    const MOST: usize = 1024;
    /// Nothing works longer without a break; who says so has a clock that was not set.
    pub const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);

    /// Adds an interval; returns how many microseconds of it were not busy before. Of one that is longer than
    /// [`Intervals::LONGEST`] only the end counts, and nothing of what has not come yet.
    pub fn add(&mut self, from: Timestamp, to: Timestamp, now: Timestamp) -> u64 {
        let to = to.not_ahead_of(now);
        let from = from.max(to.minus(Intervals::LONGEST));
        if to <= from {
            return 0;
        }
        let first = self.spans.partition_point(|(_, end)| *end < from);
        let after = first + self.spans[first..].partition_point(|(start, _)| *start <= to);
        let touched = &self.spans[first..after];
        let merged_from = touched.first().map_or(from, |(start, _)| (*start).min(from));
        let merged_to = touched.last().map_or(to, |(_, end)| (*end).max(to));
        let known = touched.iter().map(|(start, end)| end.micros_since(*start)).fold(0, u64::saturating_add);
        self.spans.splice(first..after, [(merged_from, merged_to)]);
        if self.spans.len() > Intervals::MOST {
            self.spans.drain(..Intervals::MOST / 4);
        }
        merged_to.micros_since(merged_from).saturating_sub(known)
    }

    /// How many microseconds of a window were busy.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> u64 {
        self.spans
            .iter()
            .map(|(start, end)| (*end).min(to).micros_since((*start).max(from)))
            .fold(0, u64::saturating_add)
    }

    /// When the last interval ended.
    pub fn last(&self) -> Option<Timestamp> {
        self.spans.last().map(|(_, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn overlaps_count_once_in_any_order(intervals in proptest::collection::vec((0i64..200, 0i64..50), 0..40)) {
            let mut union = Intervals::default();
            let mut busy = [false; 300];
            let mut added = 0;
            for (from, len) in intervals {
                added += union.add(Timestamp::from_micros(from), Timestamp::from_micros(from + len), Timestamp::from_micros(300));
                busy[from as usize..(from + len) as usize].fill(true);
            }
            let expected = busy.iter().filter(|busy| **busy).count() as u64;
            prop_assert_eq!(added, expected);
            prop_assert_eq!(union.within(Timestamp::from_micros(0), Timestamp::from_micros(300)), expected);
            let part = busy[50..120].iter().filter(|busy| **busy).count() as u64;
            prop_assert_eq!(union.within(Timestamp::from_micros(50), Timestamp::from_micros(120)), part);
        }

        #[test]
        fn no_times_make_more_of_an_interval_than_it_can_be(times: Vec<(i64, i64)>, now in 0i64..4_000_000_000_000_000) {
            let mut union = Intervals::default();
            let now = Timestamp::from_micros(now);
            for (from, to) in times {
                let added = union.add(Timestamp::from_micros(from), Timestamp::from_micros(to), now);
                prop_assert!(added <= Intervals::LONGEST.as_micros() as u64);
                prop_assert!(union.last().is_none_or(|last| last.not_ahead_of(now) == last));
            }
            union.within(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        }
    }
}
