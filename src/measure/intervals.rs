//! The time in which someone was busy: what overlaps counts once, and what turns out to have been waiting can be taken
//! out again, in any order.

use std::collections::BTreeMap;
use std::time::Duration;

use super::steps::Steps;
use crate::event::Timestamp;

/// How many pieces of work overlap at each time. Bounded: of what is long ago only the busy time of each minute is kept.
#[derive(Clone, Debug, Default)]
pub struct Intervals {
    /// How many pieces of work go on at each time.
    steps: Steps,
    /// Busy microseconds by the minute, before `folded_until`.
    folded: BTreeMap<i64, u64>,
    folded_until: Option<Timestamp>,
}

const MINUTE: u64 = 60_000_000;

impl Intervals {
    /// Nothing works longer without a break; who says so has a clock that was not set.
    pub const LONGEST: Duration = Duration::from_secs(31 * 24 * 3600);
    /// So long ago no window reaches.
    const FORGOTTEN: Duration = Duration::from_secs(25 * 3600);

    /// The part of an interval that is believed: of one that is longer than [`Intervals::LONGEST`] only the end, and
    /// nothing of what has not come yet.
    pub fn believed(from: Timestamp, to: Timestamp, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let to = to.not_ahead_of(now);
        let from = from.max(to.minus(Intervals::LONGEST));
        (from < to).then_some((from, to))
    }

    /// Adds an interval; returns how many microseconds of it were not busy before.
    pub fn add(&mut self, from: Timestamp, to: Timestamp, now: Timestamp) -> u64 {
        match Intervals::believed(from, to, now) {
            Some((from, to)) => self.change(from, to, true),
            None => 0,
        }
    }

    /// Takes out an interval that was added, or a part of one; returns how many microseconds of it are busy no more.
    pub fn remove(&mut self, from: Timestamp, to: Timestamp) -> u64 {
        if from < to { self.change(from, to, false) } else { 0 }
    }

    fn change(&mut self, from: Timestamp, to: Timestamp, more: bool) -> u64 {
        let mut changed = 0;
        let mut from = from;
        if let Some(until) = self.folded_until.filter(|until| from < *until) {
            changed += self.change_folded(from, to.min(until), more);
            from = until;
        }
        if to <= from {
            return changed;
        }
        changed + self.steps.change(from, to, more)
    }

    /// The same, where only minutes are known: each is full after a minute.
    fn change_folded(&mut self, from: Timestamp, to: Timestamp, more: bool) -> u64 {
        let mut changed = 0;
        for (minute, part) in minutes(from, to) {
            if more {
                let busy = self.folded.entry(minute).or_default();
                let added = part.min(MINUTE.saturating_sub(*busy));
                *busy += added;
                changed += added;
            } else if let Some(busy) = self.folded.get_mut(&minute) {
                let removed = part.min(*busy);
                *busy -= removed;
                changed += removed;
            }
        }
        changed
    }

    /// Keeps at most so many steps: of the oldest ones, the busy time of each minute remains.
    pub fn keep(&mut self, most: usize, now: Timestamp) {
        if self.steps.len() <= most {
            return;
        }
        let given_up = self.steps.len() - most / 4 * 3;
        let oldest = now.minus(Intervals::FORGOTTEN);
        let left = self.steps.give_up(given_up, |start, end| {
            for (minute, part) in minutes(start.max(oldest), end) {
                *self.folded.entry(minute).or_default() += part;
            }
        });
        self.folded_until = left.or(self.folded_until);
        let oldest = oldest.as_seconds().div_euclid(60);
        self.folded = self.folded.split_off(&oldest);
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// How many microseconds of a window were busy.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> u64 {
        let minute = |time: Timestamp| time.as_seconds().div_euclid(60);
        let folded = self.folded.range(minute(from)..=minute(to).max(minute(from)));
        let share = |(minute, busy): (&i64, &u64)| {
            let start = Timestamp::from_micros(minute.saturating_mul(MINUTE as i64));
            let end = start.plus(Duration::from_secs(60));
            let overlap = end.min(to).micros_since(start.max(from));
            (u128::from(*busy) * u128::from(overlap) / u128::from(MINUTE)) as u64
        };
        self.steps.within(from, to).saturating_add(folded.map(share).sum())
    }

    /// When the first of them began since a time, or that time if one went on then.
    pub fn first(&self, since: Timestamp) -> Option<Timestamp> {
        let minute = since.as_seconds().div_euclid(60);
        let folded = self.folded.range(minute..).find(|(_, busy)| **busy > 0);
        let folded = folded.map(|(minute, _)| Timestamp::from_micros(minute.saturating_mul(MINUTE as i64)));
        folded.into_iter().chain(self.steps.first(since)).min().map(|first| first.max(since))
    }

    /// When the last interval ended.
    pub fn last(&self) -> Option<Timestamp> {
        self.steps.last().or(self.folded_until)
    }
}

/// An interval minute by minute, with the microseconds of it in each. One that is longer than a window is cut short.
fn minutes(from: Timestamp, to: Timestamp) -> impl Iterator<Item = (i64, u64)> {
    let from = from.max(to.minus(Intervals::FORGOTTEN));
    let (first, last) = (from.as_seconds().div_euclid(60), to.as_seconds().div_euclid(60));
    (first..=last).filter_map(move |minute| {
        let start = Timestamp::from_micros(minute * MINUTE as i64);
        let part = start.plus(Duration::from_secs(60)).min(to).micros_since(start.max(from));
        (part > 0).then_some((minute, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    proptest! {
        #[test]
        fn overlaps_count_once_in_any_order(intervals in proptest::collection::vec((0i64..200, 0i64..50, any::<bool>()), 0..40)) {
            let mut union = Intervals::default();
            let mut depth = [0u32; 300];
            let mut busy = 0i64;
            let mut known: Vec<(i64, i64)> = Vec::new();
            for (from, len, takes_out) in intervals {
                match known.pop().filter(|_| takes_out) {
                    Some((from, to)) => {
                        busy -= union.remove(at(from), at(to)) as i64;
                        depth[from as usize..to as usize].iter_mut().for_each(|depth| *depth -= 1);
                    }
                    None => {
                        busy += union.add(at(from), at(from + len), at(300)) as i64;
                        depth[from as usize..(from + len) as usize].iter_mut().for_each(|depth| *depth += 1);
                        known.push((from, from + len));
                    }
                }
                let by = usize::from(known.len() > 2);
                known.rotate_left(by);
            }
            let expected = depth.iter().filter(|depth| **depth > 0).count() as u64;
            prop_assert_eq!(busy, expected as i64);
            prop_assert_eq!(union.within(at(0), at(300)), expected);
            let first = (50..300).find(|at| depth[*at as usize] > 0).map(at);
            prop_assert_eq!(union.first(at(50)), first);
            let part = depth[50..120].iter().filter(|depth| **depth > 0).count() as u64;
            prop_assert_eq!(union.within(at(50), at(120)), part);
        }

        #[test]
        fn no_times_make_more_of_an_interval_than_it_can_be(times: Vec<(i64, i64)>, now in 0i64..4_000_000_000_000_000) {
            let mut union = Intervals::default();
            let now = at(now);
            for (from, to) in times {
                let added = union.add(at(from), at(to), now);
                union.keep(8, now);
                prop_assert!(added <= Intervals::LONGEST.as_micros() as u64);
                prop_assert!(union.len() <= 8);
                prop_assert!(union.last().is_none_or(|last| last.not_ahead_of(now) == last));
            }
            union.within(at(i64::MIN), at(i64::MAX));
        }
    }

    #[test]
    fn the_busy_time_of_what_is_long_ago_remains() {
        let now = at(3_600_000_000);
        let mut busy = Intervals::default();
        for second in 0..3600 {
            busy.add(at(second * 1_000_000), at(second * 1_000_000 + 500_000), now);
            busy.keep(100, now);
        }
        assert!(busy.len() <= 100);
        assert_eq!(busy.within(at(0), now), 1_800_000_000);
        assert_eq!(busy.within(at(600_000_000), at(1_200_000_000)), 300_000_000);
        assert_eq!((busy.first(at(0)), busy.first(at(600_200_000))), (Some(at(0)), Some(at(600_200_000))));
        assert_eq!(busy.add(at(0), at(60_000_000), now), 30_000_000, "the rest of the minute");
        assert_eq!(busy.add(at(0), at(60_000_000), now), 0);
    }
}
