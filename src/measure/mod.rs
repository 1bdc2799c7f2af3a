//! Measurement: counters and histograms of what was done, and ratios over a window. Pure: the clock is passed in.
//!
//! Counters and histograms are the truth; ratios are computed from sums, over a window, when somebody reads
//! them. Names and units are those of `docs/metrics.md`.

mod activity;
mod alerts;
mod buckets;
mod count;
mod encode;
mod instrument;
mod instruments;
mod intervals;
mod outcome;
mod snapshot;
mod steps;
mod summary;
mod task;
mod tasks;
mod waits;
mod windows;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use activity::Activity;
use alerts::Alerts;
pub use alerts::{Alert, AlertMetric, Firing};
pub use buckets::{Buckets, LeftOutOfBuckets, SharedBuckets, Snapshot, Writer};
pub use encode::{own_resource, to_batch};
use instruments::{Instruments, open_now};
pub use snapshot::{Bucket, Counted, Exemplar, Family, FamilyKind, Series, Value};
pub use summary::{Summary, SummaryRow};
use tasks::Tasks;
pub use windows::Dimension;
use windows::Windows;

use crate::derive::Name;
use crate::event::Timestamp;

/// What was left out, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Measurements that had no room for a series or a row of their own.
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
    /// When each agent was at work.
    activity: Activity,
    windows: Windows,
    alerts: Alerts,
    tasks: Tasks,
    /// Times of waiting for people that can be none.
    invalid_waits: u64,
    /// After which time nobody waits for people any more.
    human_timeout: Option<Duration>,
    since: Timestamp,
    next_expiry: Timestamp,
}

impl Measure {
    /// Series of one metric, unless told otherwise.
    pub const MOST_SERIES: usize = 10_000;
    /// The longest window of a summary.
    pub const LONGEST_WINDOW: Duration = Windows::LONGEST;
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
            activity: Activity::default(),
            windows: Windows::default(),
            alerts: Alerts::default(),
            tasks: Tasks::default(),
            invalid_waits: 0,
            human_timeout: None,
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
        let waiting: Vec<Timestamp> = self.tasks.open().map(|open| open.since).collect();
        let open = open_now(in_flight, &waiting);
        let open = open.map(|family| Counted { began: vec![self.since; family.series.len()], family });
        self.instruments.counted().into_iter().chain(open).collect()
    }

    /// Says after which time nobody waits any more for people to answer; by default they are waited for forever.
    pub fn time_people_out_after(&mut self, timeout: Option<Duration>) {
        self.human_timeout = timeout;
    }

    /// Lets time pass: what has settled enters histograms, and idle series are forgotten.
    pub fn tick(&mut self, now: Timestamp) {
        self.settle_tasks(Some(now), now);
        if now < self.next_expiry {
            return;
        }
        if let Some(buckets) = &self.windows.buckets {
            buckets.lock().unwrap_or_else(PoisonError::into_inner).tick(now);
        }
        self.next_expiry = now.plus(Duration::from_secs(3600));
        let idle_since = now.minus(Measure::IDLE);
        self.instruments.expire(idle_since);
        self.activity.expire(idle_since);
        self.windows.expire(now);
    }

    /// Enters into histograms whatever waits for more, because nothing more is to come.
    pub fn finish(&mut self, now: Timestamp) {
        self.settle_tasks(None, now);
    }

    /// What was left out so far.
    pub fn left_out(&self) -> LeftOut {
        LeftOut {
            overflowed: self.instruments.overflowed() + self.activity.overflowed + self.windows.overflowed,
            too_late: self.windows.too_late,
            invalid: self.instruments.invalid() + self.invalid_waits,
        }
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
        measure.finish(now);
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
        assert_eq!(wait(r#","waited_ms":-5000"#), (1, 90.0), "it cannot be what is said");
    }

    #[test]
    fn tasks_wait_for_people_until_they_answer() {
        const ASKED: &str = r#"{"name":"hitl.escalated","task_id":"t","timestamp":999999900}"#;
        const ANSWERED: &str = r#"{"name":"hitl.resolved","task_id":"t","timestamp":999999990,"decision":"approved"}"#;
        let value = |measure: &Measure, name: &str| series(measure, name).first().map(|series| series.value.clone());
        let (waiting, over) = (after(ASKED), after(&format!("{ASKED}\n{ANSWERED}")));
        assert_eq!(value(&waiting, "agent.escalations.open"), Some(Value::Number(1.0)));
        assert_eq!(value(&waiting, "agent.escalations.oldest.timestamp"), Some(Value::Number(999_999_900.0)));
        assert_eq!(value(&over, "agent.escalations.open"), Some(Value::Number(0.0)));
        assert_eq!(value(&over, "agent.escalations.oldest.timestamp"), None);
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
}
