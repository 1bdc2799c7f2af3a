//! What a journal shows of itself among our own metrics.

use std::sync::Weak;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Journal;
use super::shared::{Counts, Shared};
use crate::health::{About, DROPPED, Health};

impl Journal {
    /// Shows what it has done, how much it holds and how far its consumers are behind, under a name. Only the first call
    /// counts.
    pub fn show(&self, name: &str, health: &Health) {
        if !self.show_as_queue(name, health) {
            return;
        }
        let dropped = |reason, pick| self.total(health, DROPPED, &[("component", name), ("reason", reason)], pick);
        dropped("queue_full", |counts| &counts.queue_full);
        dropped("disk_full", |counts| &counts.disk_full);
        dropped("disk_failed", |counts| &counts.disk_failed);
        dropped("too_large", |counts| &counts.too_large);
        dropped("unread", |counts| &counts.unread);
    }

    /// The same without what was not kept: whoever puts something into a queue is told, and knows whether that is a loss.
    /// Whether this was the first call.
    pub fn show_as_queue(&self, name: &str, health: &Health) -> bool {
        if self.shared.shown.set((name.to_owned(), health.clone())).is_err() {
            return false;
        }
        let labels = [("journal", name)];
        let total = |about, pick| self.total(health, about, &labels, pick);
        total(APPENDED, |counts| &counts.appended);
        total(BYTES, |counts| &counts.bytes);
        total(SYNCS, |counts| &counts.syncs);
        total(FAILURES, |counts| &counts.failures);
        total(GAPS, |counts| &counts.gaps);
        let gauge = |about, read: fn(&Shared) -> u64| {
            let shared = self.weak();
            health.gauge(about, &labels, move || shared.upgrade().map_or(0, |shared| read(&shared)) as f64);
        };
        gauge(SEGMENTS, |shared| shared.segments().len() as u64);
        gauge(SIZE, Shared::size);
        gauge(WAITING, |shared| shared.queue.waiting().0 as u64);
        let entered: Vec<String> = self.shared.cursors().entered().map(str::to_owned).collect();
        entered.iter().for_each(|cursor| self.show_lag(cursor));
        true
    }

    fn total(&self, health: &Health, about: About, labels: &[(&'static str, &str)], pick: fn(&Counts) -> &AtomicU64) {
        let shared = self.weak();
        let read = move || shared.upgrade().map_or(0, |shared| pick(&shared.counts).load(Relaxed)) as f64;
        health.total(about, labels, read);
    }

    /// Shows how far a consumer is behind.
    pub(super) fn show_lag(&self, cursor: &str) {
        let Some((name, health)) = self.shared.shown.get() else { return };
        let (shared, consumer) = (self.weak(), cursor.to_owned());
        health.gauge(LAG, &[("journal", name), ("consumer", cursor)], move || {
            let lag = shared.upgrade().and_then(|shared| {
                let position = shared.cursors().position(&consumer)?;
                Some(shared.progress().head.saturating_sub(position))
            });
            lag.unwrap_or(0) as f64
        });
    }

    fn weak(&self) -> Weak<Shared> {
        std::sync::Arc::downgrade(&self.shared)
    }
}

const APPENDED: About =
    About { name: "spanlight.journal.appended", unit: "{record}", help: "Records that were written to a journal." };
const BYTES: About =
    About { name: "spanlight.journal.written", unit: "By", help: "Bytes of records that were written to a journal." };
const SYNCS: About = About {
    name: "spanlight.journal.syncs",
    unit: "{sync}",
    help: "Times a journal was made to survive a loss of power.",
};
const FAILURES: About = About {
    name: "spanlight.journal.failures",
    unit: "{failure}",
    help: "Writes, syncs and deletions of a journal that failed.",
};
const GAPS: About = About {
    name: "spanlight.journal.missing",
    unit: "{record}",
    help: "Offsets without a record that were found when a journal was opened.",
};
const SEGMENTS: About = About { name: "spanlight.journal.segments", unit: "{segment}", help: "Segments of a journal." };
const SIZE: About =
    About { name: "spanlight.journal.size", unit: "By", help: "Bytes that a journal takes on the disk." };
const WAITING: About = About {
    name: "spanlight.journal.waiting",
    unit: "{record}",
    help: "Records that wait to be written to a journal.",
};
const LAG: About = About {
    name: "spanlight.journal.lag",
    unit: "{record}",
    help: "Records that a consumer of a journal has not consumed yet.",
};
