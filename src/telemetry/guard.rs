//! The end: what is flushed when it comes, and what is said of what was lost.

use std::fmt;
use std::time::Duration;

use super::Telemetry;
use crate::export::Left;
use crate::health::{DROPPED, FAILED, Health};

/// Keeps telemetry going; when it is dropped, what waits goes out for at most five seconds. A variable named `_` alone
/// drops it at once: give it a name.
///
/// ```
/// let _guard = spanlight::init();
/// ```
#[derive(Debug)]
#[must_use = "telemetry ends when the guard is dropped: keep it in a variable, such as `_guard`"]
pub struct Guard {
    telemetry: Telemetry,
    patience: Duration,
}

/// What was lost by the time that telemetry ended. It is nothing, mostly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What exporters did not deliver any more.
    pub left: Vec<Left>,
    /// What found no room, by kind, since the start.
    pub dropped: Vec<(&'static str, u64)>,
    /// Items that exporters gave up on or had no room for, that receivers refused, and that sinks panicked on.
    pub failed: u64,
    /// Whether what was traced last could still be looked at.
    pub is_complete: bool,
}

/// What was still on its way when the time was over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unflushed {
    /// Exporters with the number of items that they have yet to deliver; none where not even the deriving was done.
    pub pending: Vec<Left>,
}

impl Guard {
    /// Of telemetry that was just started.
    pub(super) fn new(telemetry: Telemetry) -> Guard {
        Guard { telemetry, patience: Duration::from_secs(5) }
    }

    /// Gives what waits at the end this much time instead of five seconds.
    pub fn patience(mut self, patience: Duration) -> Guard {
        self.patience = patience;
        self
    }

    /// The telemetry that it keeps going.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let report = self.telemetry.shutdown(self.patience);
        if !report.is_clean() {
            crate::report::error(&report.to_string());
        }
        crate::console::settle(Duration::from_secs(1));
    }
}

impl Report {
    pub(super) fn new(
        left: Vec<Left>,
        dropped: [(&'static str, u64); 5],
        health: &Health,
        is_complete: bool,
    ) -> Report {
        let left = left.into_iter().filter(|left| left.items > 0).collect();
        let dropped = dropped.into_iter().filter(|(_, count)| *count > 0).collect();
        let behind =
            ["queue_full", "crashed", "panicked"].map(|reason| health.sum(DROPPED.name, &[("reason", reason)]));
        let failed = health.sum(FAILED.name, &[]) + behind.iter().sum::<u64>();
        Report { left, dropped, failed, is_complete }
    }

    /// Whether nothing was lost.
    pub fn is_clean(&self) -> bool {
        self.left.is_empty() && self.dropped.is_empty() && self.failed == 0 && self.is_complete
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("nothing was lost");
        }
        let left = self.left.iter().map(|left| format!("{} items for {}", left.items, left.exporter));
        let dropped = self.dropped.iter().map(|(kind, count)| format!("{count} × {kind} for which there was no room"));
        let failed = (self.failed > 0).then(|| format!("{} items refused, given up or without room", self.failed));
        let last = (!self.is_complete).then(|| "what was traced last".to_owned());
        let all: Vec<String> = left.chain(dropped).chain(failed).chain(last).collect();
        write!(f, "telemetry was lost: {}", all.join(", "))
    }
}

impl Unflushed {
    /// Not even the deriving was done.
    pub(super) fn behind() -> Unflushed {
        Unflushed { pending: Vec::new() }
    }
}

impl fmt::Display for Unflushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pending.is_empty() {
            return f.write_str("what was traced last has not been looked at yet");
        }
        let pending: Vec<String> = self
            .pending
            .iter()
            .map(|left| format!("{} has yet to deliver {} items", left.exporter, left.items))
            .collect();
        f.write_str(&pending.join(", "))
    }
}

impl std::error::Error for Unflushed {}
