//! Measurement: counters and histograms of what was done, and ratios over a window. Pure: the clock is passed in.
//!
//! Counters and histograms are the truth; ratios are computed from sums, over a window, when somebody reads
//! them. Names and units are those of `docs/metrics.md`.

mod buckets;
mod count;
mod encode;
mod instrument;
mod instruments;
mod intervals;
mod snapshot;
mod summary;
mod tasks;
mod waiting;
mod windows;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buckets::Pieces;
pub use buckets::{Buckets, LeftOutOfBuckets, SharedBuckets, Snapshot, Writer};
pub use encode::{own_resource, to_batch};
use foldhash::fast::RandomState;
use instruments::Instruments;
use intervals::Intervals;
pub use snapshot::{Bucket, Counted, Exemplar, Family, FamilyKind, Series, Value};
pub use summary::{Summary, SummaryRow};
use tasks::Tasks;
use waiting::Waiting;
pub use windows::Dimension;
use windows::Windows;

use crate::derive::Name;
use crate::event::Timestamp;

/// What was left out, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Measurements that had no room for a series of their own.
    pub overflowed: u64,
    /// Measurements that came too late for any window.
    pub too_late: u64,
    /// Values that nothing can be added to: negative, or not finite.
    pub invalid: u64,
}

/// All that is counted.
#[derive(Debug)]
pub struct Measure {
    instruments: Instruments,
    /// When each agent was busy.
    busy: HashMap<Name, Intervals, RandomState>,
    /// Runs of agents for which there was no room in `busy`.
    busy_overflowed: u64,
    windows: Windows,
    tasks: Tasks,
    /// Tasks that wait for a person.
    waiting: Waiting,
    since: Timestamp,
    next_expiry: Timestamp,
}

impl Measure {
    /// Series of one metric, unless told otherwise.
    pub const MOST_SERIES: usize = 10_000;
    /// Agents whose busy times are kept.
    const MOST_AGENTS: usize = 10_000;
    /// Series that nothing was counted in for so long are forgotten.
    const IDLE: Duration = Duration::from_secs(24 * 3600);

    /// Nothing counted yet.
    pub fn new(now: Timestamp) -> Measure {
        Measure::with_limit(now, Measure::MOST_SERIES)
    }

    /// With another bound on the series of each metric.
    pub fn with_limit(now: Timestamp, most_series: usize) -> Measure {
        Measure {
            instruments: Instruments::new(most_series),
            busy: HashMap::default(),
            busy_overflowed: 0,
            windows: Windows::default(),
            tasks: Tasks::default(),
            waiting: Waiting::default(),
            since: now,
            next_expiry: now.plus(Duration::from_secs(3600)),
        }
    }

    /// From now on, what is counted is also kept by hour and by day, for whoever writes that somewhere. `instance` tells
    /// these sums from those of others, and from those of this program before it was restarted.
    pub fn keep_buckets(&mut self, instance: impl FnOnce() -> String) -> SharedBuckets {
        let new = || Arc::new(Mutex::new(Buckets::new(instance())));
        self.windows.buckets.get_or_insert_with(new).clone()
    }

    /// Measurements since this was last asked that whoever writes buckets has to write; none where nobody does.
    pub fn take_changes(&mut self) -> usize {
        let changes = |buckets: &SharedBuckets| buckets.lock().unwrap_or_else(PoisonError::into_inner).take_changes();
        self.windows.buckets.as_ref().map_or(0, changes)
    }

    /// All metrics as they stand. `in_flight` is the number of open runs by agent.
    pub fn snapshot(&self, in_flight: &[(Name, u64)]) -> Vec<Counted> {
        self.instruments.counted(in_flight, self.since)
    }

    /// Lets time pass: idle series are forgotten.
    pub fn tick(&mut self, now: Timestamp) {
        if now < self.next_expiry {
            return;
        }
        if let Some(buckets) = &self.windows.buckets {
            buckets.lock().unwrap_or_else(PoisonError::into_inner).tick(now);
        }
        self.next_expiry = now.plus(Duration::from_secs(3600));
        let idle_since = now.minus(Measure::IDLE);
        self.instruments.expire(idle_since);
        self.busy.retain(|_, intervals| intervals.last().is_some_and(|last| last >= idle_since));
    }

    /// What was left out so far.
    pub fn left_out(&self) -> LeftOut {
        LeftOut {
            overflowed: self.instruments.overflowed() + self.busy_overflowed,
            too_late: self.windows.too_late,
            invalid: self.instruments.invalid(),
        }
    }

    /// Enters a time in which an agent was busy; returns how many seconds of it were not known before. There are
    /// as many agents as emitters say there are, so they are bounded; without the others' times nobody knows
    /// which of theirs overlap, so they are left out.
    fn busy(&mut self, agent: &Name, (from, to): (Timestamp, Timestamp), now: Timestamp) -> Option<f64> {
        if self.busy.len() >= Measure::MOST_AGENTS && !self.busy.contains_key(agent) {
            self.busy_overflowed += 1;
            return None;
        }
        let intervals = self.busy.entry(agent.clone()).or_default();
        let pieces =
            self.windows.buckets.as_ref().map(|_| Pieces::of((from, to), now, |from, to| intervals.within(from, to)));
        let newly_busy = intervals.add(from, to, now);
        if let (Some(buckets), Some(pieces)) = (&self.windows.buckets, pieces) {
            let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
            buckets.busy(agent, &pieces, now, |from, to| intervals.within(from, to));
        }
        Some(newly_busy as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Source, SourceKind, read_events};

    /// A measure that has seen events, all of them at the same time.
    fn after(body: &str) -> Measure {
        let source = Source { kind: SourceKind::Http, dialect: None, instance: None, service: None };
        let now = Timestamp::from_unix_seconds(1e9);
        let mut measure = Measure::new(now);
        for event in read_events(body.as_bytes(), &source, now).into_iter().flatten().flatten() {
            measure.event(&event, now);
        }
        measure
    }

    fn series(measure: &Measure, name: &str) -> Vec<Series> {
        let mut metrics = measure.snapshot(&[]).into_iter();
        metrics.find(|metric| *metric.family.name == *name).unwrap().family.series
    }

    #[test]
    fn waiting_for_a_person_is_seen_or_said() {
        let wait = |said: &str| {
            let measure = after(&format!(
                r#"{{"name":"hitl.escalated","task_id":"t","timestamp":999999900,"priority":"high"}}
                {{"name":"hitl.resolved","task_id":"t","timestamp":999999990,"decision":"approved"{said}}}
                {{"name":"hitl.resolved","task_id":"t","timestamp":999999995,"decision":"approved"}}"#
            ));
            assert_eq!(series(&measure, "agent.escalations")[0].attributes, [("priority".into(), "high".into())]);
            match &series(&measure, "agent.human.wait")[..] {
                [Series { value: Value::Histogram { count, sum, .. }, .. }] => (*count, sum.unwrap()),
                [] => (0, 0.0),
                _ => panic!("one series"),
            }
        };
        assert_eq!(wait(""), (1, 90.0));
        assert_eq!(wait(r#","waited_ms":5000"#), (1, 5.0));
        assert_eq!(wait(r#","waited_ms":-5000"#), (0, 0.0));
    }

    #[test]
    fn absurd_attempts_do_not_overflow() {
        let escalated = |task: u32| format!(r#"{{"name":"hitl.escalated","task_id":"{task}","attempts":1e19}}"#);
        let measure = after(&(0..4).map(|task| escalated(task) + "\n").collect::<String>());
        let now = Timestamp::from_unix_seconds(1e9);
        assert_eq!(measure.summary(Duration::from_secs(3600), now).average_retry_count, None);
        let sane = after(r#"{"name":"hitl.escalated","task_id":"t","attempts":3}"#);
        assert_eq!(sane.summary(Duration::from_secs(3600), now).average_retry_count, Some(2.0));
    }

    #[test]
    fn agents_are_bounded_and_those_that_rest_make_room() {
        let mut now = Timestamp::from_unix_seconds(1e9);
        let mut measure = Measure::new(now);
        let busy = |measure: &mut Measure, from: usize, now: Timestamp| {
            for agent in from..from + 12_000 {
                // One in two has a clock that is a year ahead, which must not keep it here for a year.
                let begin = now.plus(Duration::from_secs(agent as u64 % 2 * 31_536_000));
                measure.busy(&agent.to_string().into(), (begin, begin.plus(Duration::from_secs(1))), now);
            }
            measure.busy.len()
        };
        assert_eq!(busy(&mut measure, 0, now), 10_000);
        assert_eq!(measure.left_out().overflowed, 2000);
        now = now.plus(Duration::from_secs(25 * 3600));
        measure.tick(now);
        assert!(measure.busy.is_empty());
        assert_eq!(busy(&mut measure, 20_000, now), 10_000);
    }
}
