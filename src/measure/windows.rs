//! Sums by the minute, from which ratios over any window of the last day are computed.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};

use super::buckets::SharedBuckets;
use crate::derive::Name;
use crate::event::Timestamp;

/// What is added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// US dollars, of calls whose price is known.
    pub cost_usd: f64,
    /// Calls whose price is not known.
    pub unpriced_calls: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Runs of agents, or calls of tools and models in their rows.
    pub runs: u64,
    /// Of these, not completed.
    pub errors: u64,
    /// Tasks completed.
    pub tasks: u64,
    /// What they cost.
    pub task_cost_usd: f64,
    /// From queue to completion, in seconds.
    pub task_seconds: f64,
    /// Tasks completed or escalated, whose attempts are known.
    pub attempted_tasks: u64,
    /// Their attempts beyond the first.
    pub retries: u64,
    /// Reviews that approved.
    pub approved: u64,
    /// Reviews that rejected.
    pub rejected: u64,
    /// Validations that passed.
    pub passed: u64,
    /// Validations.
    pub validated: u64,
    /// How often a task went to people.
    pub escalations: u64,
    /// How often waiting for people was over.
    pub human_waits: u64,
    /// How long that took, in seconds.
    pub human_wait_seconds: f64,
}

/// By what sums are broken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// The agent.
    Agent,
    /// What the work is for.
    Feature,
    /// The model.
    Model,
    /// The tool.
    Tool,
}

/// The minutes of the last day.
#[derive(Debug, Default)]
pub struct Windows {
    minutes: BTreeMap<i64, Minute>,
    /// Additions that came too late for any window.
    pub too_late: u64,
    /// The same additions by hour and by day, where somebody writes them.
    pub buckets: Option<SharedBuckets>,
}

#[derive(Debug, Default)]
struct Minute {
    totals: Sums,
    rows: HashMap<(Dimension, Name), Sums, RandomState>,
}

impl Windows {
    /// The longest window.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
    const MOST_ROWS: usize = 1000;
    /// The row of those that have none of their own.
    pub const OTHERS: &'static str = "(others)";

    /// Adds to the minute of `at`, in total and in the row of each dimension that is known.
    pub fn add(
        &mut self,
        at: Timestamp,
        rows: &[(Dimension, Option<&Name>)],
        now: Timestamp,
        change: impl Fn(&mut Sums),
    ) {
        if let Some(buckets) = &self.buckets {
            buckets.lock().unwrap_or_else(PoisonError::into_inner).add(at, rows, now, &change);
        }
        if let Some(minute) = self.minute(at, now) {
            minute.change(rows, change);
        }
    }

    /// Adds to one row of the minute of `at`, and not to the total.
    pub fn add_row(
        &mut self,
        at: Timestamp,
        (dimension, name): (Dimension, &Name),
        now: Timestamp,
        change: impl Fn(&mut Sums),
    ) {
        if let Some(minute) = self.minute(at, now) {
            change(minute.row(dimension, name));
        }
    }

    /// Changes what was added before, where it was, because more is known now: takes something out. What has left the
    /// windows since stays as it was.
    pub fn take_back(
        &mut self,
        at: Timestamp,
        rows: &[(Dimension, Option<&Name>)],
        now: Timestamp,
        change: impl Fn(&mut Sums),
    ) {
        if let Some(buckets) = &self.buckets {
            buckets.lock().unwrap_or_else(PoisonError::into_inner).take_back(at, rows, now, &change);
        }
        if let Some(minute) = self.minutes.get_mut(&at.not_ahead_of(now).as_seconds().div_euclid(60)) {
            minute.change(rows, change);
        }
    }

    fn minute(&mut self, at: Timestamp, now: Timestamp) -> Option<&mut Minute> {
        let oldest = now.minus(Windows::LONGEST).as_seconds().div_euclid(60);
        // Work whose emitter's clock is ahead counts now, because it did happen.
        let minute = at.not_ahead_of(now).as_seconds().div_euclid(60);
        if minute < oldest {
            self.too_late += 1;
            return None;
        }
        while self.minutes.first_key_value().is_some_and(|(first, _)| *first < oldest) {
            self.minutes.pop_first();
        }
        Some(self.minutes.entry(minute).or_default())
    }

    /// The sums of the minutes that begin within a window.
    pub fn totals(&self, from: Timestamp, to: Timestamp) -> Sums {
        let mut sums = Sums::default();
        self.within(from, to).for_each(|minute| sums.add(&minute.totals));
        sums
    }

    /// The same, of one agent, feature, model or tool.
    pub fn row(&self, dimension: Dimension, name: &Name, from: Timestamp, to: Timestamp) -> Sums {
        let mut sums = Sums::default();
        let key = (dimension, name.clone());
        self.within(from, to).filter_map(|minute| minute.rows.get(&key)).for_each(|row| sums.add(row));
        sums
    }

    /// The same, by one dimension.
    pub fn rows(&self, dimension: Dimension, from: Timestamp, to: Timestamp) -> BTreeMap<Name, Sums> {
        let mut rows: BTreeMap<Name, Sums> = BTreeMap::new();
        for minute in self.within(from, to) {
            for ((_, name), sums) in minute.rows.iter().filter(|((of, _), _)| *of == dimension) {
                rows.entry(name.clone()).or_default().add(sums);
            }
        }
        rows
    }

    fn within(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Minute> {
        let minutes = from.as_seconds().div_euclid(60)..=to.as_seconds().div_euclid(60);
        self.minutes.range(minutes).map(|(_, minute)| minute)
    }
}

impl Minute {
    /// Changes the total, and the row of each dimension that is known.
    fn change(&mut self, rows: &[(Dimension, Option<&Name>)], change: impl Fn(&mut Sums)) {
        change(&mut self.totals);
        for (dimension, name) in rows {
            if let Some(name) = name {
                change(self.row(*dimension, name));
            }
        }
    }

    fn row(&mut self, dimension: Dimension, name: &Name) -> &mut Sums {
        let full = self.rows.len() >= Windows::MOST_ROWS;
        let row = RowKey(dimension, name);
        if full && !self.rows.contains_key(&row) {
            return self.rows.entry((dimension, Windows::OTHERS.into())).or_default();
        }
        self.rows.entry_ref(&row).or_default()
    }
}

/// The key of a row, borrowed, so that finding one takes no share in its name.
#[derive(Hash)]
struct RowKey<'n>(Dimension, &'n Name);

impl Equivalent<(Dimension, Name)> for RowKey<'_> {
    fn equivalent(&self, (dimension, name): &(Dimension, Name)) -> bool {
        self.0 == *dimension && self.1 == name
    }
}

impl From<&RowKey<'_>> for (Dimension, Name) {
    fn from(key: &RowKey<'_>) -> (Dimension, Name) {
        (key.0, key.1.clone())
    }
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.cost_usd += other.cost_usd;
        self.unpriced_calls += other.unpriced_calls;
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.runs += other.runs;
        self.errors += other.errors;
        self.tasks += other.tasks;
        self.task_cost_usd += other.task_cost_usd;
        self.task_seconds += other.task_seconds;
        self.attempted_tasks += other.attempted_tasks;
        self.retries = self.retries.saturating_add(other.retries);
        self.approved += other.approved;
        self.rejected += other.rejected;
        self.passed += other.passed;
        self.validated += other.validated;
        self.escalations += other.escalations;
        self.human_waits += other.human_waits;
        self.human_wait_seconds += other.human_wait_seconds;
    }
}

impl Dimension {
    /// The one of a word.
    pub fn parse(word: &str) -> Option<Dimension> {
        Some(match word {
            "agent" => Dimension::Agent,
            "feature" => Dimension::Feature,
            "model" => Dimension::Model,
            "tool" => Dimension::Tool,
            _ => return None,
        })
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Dimension::Agent => "agent",
            Dimension::Feature => "feature",
            Dimension::Model => "model",
            Dimension::Tool => "tool",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_bounded_whatever_the_times() {
        let mut windows = Windows::default();
        let now = Timestamp::from_unix_seconds(1e9);
        for minute in 0..10_000 {
            let at = now.plus(Duration::from_secs(60 * minute));
            windows.add(at, &[], now, |sums| sums.runs += 1);
        }
        windows.add(Timestamp::from_micros(i64::MAX), &[], now, |sums| sums.runs += 1);
        windows.add(Timestamp::from_micros(i64::MIN), &[], now, |sums| sums.runs += 1);
        assert!(windows.minutes.len() <= 6, "{}", windows.minutes.len());
        assert_eq!(windows.totals(now, now).runs, 10_001 - 5);
        assert_eq!(windows.too_late, 1);
    }
}
