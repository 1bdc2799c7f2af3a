//! Measurement: counters and histograms of what was done, and ratios over a window. Pure: the clock is passed in.
//!
//! Counters and histograms are the truth; ratios are computed from sums, over a window, when somebody reads
//! them. Names and units are those of `docs/metrics.md`.

mod count;
mod encode;
mod instrument;
mod instruments;
mod intervals;
mod snapshot;
mod summary;
mod tasks;
mod windows;

use std::collections::HashMap;
use std::time::Duration;

pub use encode::to_batch;
use foldhash::fast::RandomState;
use instruments::Instruments;
use intervals::Intervals;
pub use snapshot::{Bucket, Exemplar, Family, FamilyKind, Series, Value};
pub use summary::{Summary, SummaryRow};
use tasks::Tasks;
pub use windows::Dimension;
use windows::Windows;

use crate::derive::Name;
use crate::event::Timestamp;

/// All that is counted.
#[derive(Debug)]
pub struct Measure {
    instruments: Instruments,
    /// When each agent was busy.
    busy: HashMap<Name, Intervals, RandomState>,
    windows: Windows,
    tasks: Tasks,
    since: Timestamp,
    next_expiry: Timestamp,
}

impl Measure {
    /// Series of one metric, unless told otherwise.
    pub const MOST_SERIES: usize = 10_000;
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
            windows: Windows::default(),
            tasks: Tasks::default(),
            since: now,
            next_expiry: now.plus(Duration::from_secs(3600)),
        }
    }

    /// When counting began.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// All metrics as they stand. `in_flight` is the number of open runs by agent.
    pub fn snapshot(&self, in_flight: &[(Name, u64)]) -> Vec<Family> {
        self.instruments.families(in_flight)
    }

    /// Lets time pass: idle series are forgotten.
    pub fn tick(&mut self, now: Timestamp) {
        if now < self.next_expiry {
            return;
        }
        self.next_expiry = now.plus(Duration::from_secs(3600));
        let idle_since = now.minus(Measure::IDLE);
        self.instruments.expire(idle_since);
        self.busy.retain(|_, intervals| intervals.last().is_some_and(|last| last >= idle_since));
    }

    /// How often a metric had no room for another series, and how much came too late for any window.
    pub fn left_out(&self) -> (u64, u64) {
        (self.instruments.overflowed(), self.windows.too_late)
    }
}
