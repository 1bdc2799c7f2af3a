//! Sums by time, from which ratios over any window of the last day are computed.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::PoisonError;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::{Equivalent, HashMap};

use super::buckets::SharedBuckets;
use crate::derive::Name;
use crate::derive::slots::Slots;
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

/// The sums of the last day, in total and by row.
#[derive(Debug, Default)]
pub struct Windows {
    totals: Row,
    rows: HashMap<(Dimension, Name), Row, RandomState>,
    /// When room was last made for other rows.
    room_made: Timestamp,
    /// Additions that came too late for any window.
    pub too_late: u64,
    /// Additions to the row of others.
    pub overflowed: u64,
    /// The same additions by hour and by day, where somebody writes them.
    pub buckets: Option<SharedBuckets>,
}

/// By the minute for the last three to four hours, and by the quarter of an hour before.
type Row = Slots<Sums, 60, 3, 900>;

impl Windows {
    /// The longest window.
    pub const LONGEST: Duration = Duration::from_secs(24 * 3600);
    const MOST_ROWS: usize = 2000;
    /// The row of those that have none of their own.
    pub const OTHERS: &'static str = "(others)";
    /// So long a row has to rest before it joins the others to make room.
    const RESTED: Duration = Duration::from_secs(3600);

    /// Adds to the slot of `at`, in total and in the row of each dimension that is known.
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
        let Some(at) = Windows::place(at, now) else {
            self.too_late += 1;
            return;
        };
        self.change(at, rows, now, change);
    }

    /// Adds to one row, and not to the total.
    pub fn add_row(
        &mut self,
        at: Timestamp,
        (dimension, name): (Dimension, &Name),
        now: Timestamp,
        change: impl Fn(&mut Sums),
    ) {
        let Some(at) = Windows::place(at, now) else {
            self.too_late += 1;
            return;
        };
        // Rows are read by the slots of the total, which may not be behind any of them.
        self.totals.compact(now);
        change(self.row_of(dimension, name, now).at(at, now));
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
        if let Some(at) = Windows::place(at, now) {
            self.change(at, rows, now, change);
        }
    }

    fn change(
        &mut self,
        at: Timestamp,
        rows: &[(Dimension, Option<&Name>)],
        now: Timestamp,
        change: impl Fn(&mut Sums),
    ) {
        change(self.totals.at(at, now));
        for (dimension, name) in rows {
            if let Some(name) = name {
                change(self.row_of(*dimension, name, now).at(at, now));
            }
        }
    }

    /// Where something is added; nowhere if it is in no window any more. Work whose emitter's clock is ahead counts now,
    /// because it did happen.
    fn place(at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let at = at.not_ahead_of(now);
        let minute = |at: Timestamp| at.as_seconds().div_euclid(60);
        (minute(at) >= minute(now.minus(Windows::LONGEST))).then_some(at)
    }

    fn row_of(&mut self, dimension: Dimension, name: &Name, now: Timestamp) -> &mut Row {
        let row = RowKey(dimension, name);
        let is_full = |windows: &Windows| windows.rows.len() >= Windows::MOST_ROWS && !windows.rows.contains_key(&row);
        if is_full(self) {
            self.make_room(now);
            if is_full(self) {
                self.overflowed += 1;
                return self.rows.entry((dimension, Windows::OTHERS.into())).or_default();
            }
        }
        self.rows.entry_ref(&row).or_default()
    }

    /// What rows that have rested have goes to the others. To look for them takes long, so it is done by the minute.
    fn make_room(&mut self, now: Timestamp) {
        if now < self.room_made.plus(Duration::from_secs(60)) {
            return;
        }
        self.room_made = now;
        let rests = now.minus(Windows::RESTED).as_seconds();
        let has_rested = |(_, name): &(Dimension, Name), row: &Row| {
            &**name != Windows::OTHERS && row.last().is_none_or(|last| last < rests)
        };
        let rested: Vec<_> = self.rows.extract_if(|key, row| has_rested(key, row)).collect();
        for ((dimension, _), row) in rested {
            self.rows.entry((dimension, Windows::OTHERS.into())).or_default().add(&row, now);
        }
    }

    /// Forgets what is in no window any more.
    pub fn expire(&mut self, now: Timestamp) {
        self.totals.compact(now);
        self.rows.retain(|_, row| {
            row.compact(now);
            row.last().is_some()
        });
    }

    /// The sums of a window: of the slots that it has any of.
    pub fn totals(&self, from: Timestamp, to: Timestamp) -> Sums {
        self.sum(&self.totals, from, to)
    }

    /// The same, of one agent, feature, model or tool.
    pub fn row(&self, dimension: Dimension, name: &Name, from: Timestamp, to: Timestamp) -> Sums {
        self.rows.get(&RowKey(dimension, name)).map(|row| self.sum(row, from, to)).unwrap_or_default()
    }

    /// The same, by one dimension.
    pub fn rows(&self, dimension: Dimension, from: Timestamp, to: Timestamp) -> BTreeMap<Name, Sums> {
        let has_any = |row: &Row| self.slots(row, from, to).next().is_some();
        let of_it = self.rows.iter().filter(|((of, _), row)| *of == dimension && has_any(row));
        of_it.map(|((_, name), row)| (name.clone(), self.sum(row, from, to))).collect()
    }

    fn sum(&self, row: &Row, from: Timestamp, to: Timestamp) -> Sums {
        let mut sums = Sums::default();
        self.slots(row, from, to).for_each(|slot| sums += slot);
        sums
    }

    fn slots<'r>(&self, row: &'r Row, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &'r Sums> + use<'r> {
        row.within(from, to, self.totals.fine_since())
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

impl AddAssign<&Sums> for Sums {
    fn add_assign(&mut self, other: &Sums) {
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
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000_000_000);

    fn run(windows: &mut Windows, agent: &str, at: Timestamp, now: Timestamp) {
        windows.add(at, &[(Dimension::Agent, Some(&agent.into()))], now, |sums| sums.runs += 1);
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn slots_are_bounded_whatever_the_times() {
        let mut windows = Windows::default();
        for minute in 0..10_000 {
            run(&mut windows, "scribe", NOW.plus(seconds(60 * minute)), NOW);
            run(&mut windows, "scribe", NOW.minus(seconds(60 * minute)), NOW);
        }
        run(&mut windows, "scribe", Timestamp::from_micros(i64::MAX), NOW);
        run(&mut windows, "scribe", Timestamp::from_micros(i64::MIN), NOW);
        let row = windows.rows.values().next().unwrap();
        let slots = |row: &Row| row.begins().count();
        assert!(slots(row) <= 4 * 60 + 22 * 4 + 6 && slots(&windows.totals) == slots(row), "{}", slots(row));
        assert_eq!(windows.too_late, 10_000 - 1441 + 1);
        assert_eq!(windows.totals(NOW, NOW).runs, 10_001 - 5 + 1, "what is five minutes ahead has not come yet");
        windows.expire(NOW.plus(seconds(27 * 3600)));
        assert_eq!((windows.rows.len(), slots(&windows.totals)), (0, 0));
    }

    #[test]
    fn a_row_that_rests_is_cut_where_the_total_is() {
        let mut windows = Windows::default();
        let at = Timestamp::from_micros((NOW.as_seconds() / 900 * 900 + 60) * 1_000_000);
        run(&mut windows, "scribe", at, at);
        let now = at.plus(seconds(5 * 3600));
        windows.add_row(now, (Dimension::Tool, &"search".into()), now, |sums| sums.runs += 1);
        let from = at.plus(seconds(300));
        assert_eq!((windows.totals(from, now).runs, windows.rows(Dimension::Agent, from, now).len()), (1, 1));
        run(&mut windows, "critic", now, now);
        assert_eq!(windows.row(Dimension::Agent, &"scribe".into(), from, now).runs, 1);
        assert_eq!(windows.totals(from, now).runs, 2);
    }

    #[test]
    fn rows_that_have_rested_make_room() {
        let mut windows = Windows::default();
        let runs = |windows: &Windows, agent: &str, now| windows.row(Dimension::Agent, &agent.into(), NOW, now).runs;
        for agent in 0..Windows::MOST_ROWS + 10 {
            run(&mut windows, &agent.to_string(), NOW, NOW);
        }
        assert_eq!((windows.rows.len(), windows.overflowed), (Windows::MOST_ROWS + 1, 10));
        let later = NOW.plus(seconds(2 * 3600));
        run(&mut windows, "7", later, later);
        run(&mut windows, "scribe", later, later);
        assert_eq!((windows.rows.len(), windows.overflowed), (3, 10));
        assert_eq!(
            (runs(&windows, "7", later), runs(&windows, "scribe", later), runs(&windows, "8", later)),
            (2, 1, 0)
        );
        assert_eq!(runs(&windows, Windows::OTHERS, later), Windows::MOST_ROWS as u64 + 10 - 1);
        assert_eq!(windows.totals(NOW, later).runs, Windows::MOST_ROWS as u64 + 12);
    }

    proptest! {
        /// Windows of up to three hours are exact to the minute, others to the quarter of an hour; rows add up to the total.
        #[test]
        fn windows_have_what_was_added(
            added in proptest::collection::vec((0_u64..4000, 0_u64..90_000, 0_usize..3), 1..100),
            window in prop_oneof![60_u64..10_800, 10_800_u64..86_400],
        ) {
            const AGENTS: [&str; 3] = ["planner", "writer", "critic"];
            let (mut windows, mut now, mut times) = (Windows::default(), NOW, Vec::new());
            for (later, ago, agent) in added {
                now = now.plus(seconds(later));
                times.push(now.minus(seconds(ago)));
                run(&mut windows, AGENTS[agent], times[times.len() - 1], now);
            }
            let from = now.minus(seconds(window));
            let since = |slack: u64| times.iter().filter(|at| **at >= from.minus(seconds(slack))).count() as u64;
            let found = windows.totals(from, now).runs;
            let slack = if window <= 10_800 { 60 } else { 900 };
            prop_assert!(since(0) <= found && found <= since(slack), "{} {found} {}", since(0), since(slack));
            let rows = windows.rows(Dimension::Agent, from, now);
            prop_assert_eq!(rows.values().map(|sums| sums.runs).sum::<u64>(), found);
            let one = AGENTS.map(|agent| windows.row(Dimension::Agent, &agent.into(), from, now).runs);
            prop_assert_eq!(one.iter().sum::<u64>(), found);
        }
    }
}
