//! What a bus did not deliver, among our own counters.

use std::sync::Arc;

use super::dispatch::Core;
use super::{Bus, DeathReason};
use crate::flow::SharedRecord;
use crate::health::{DROPPED, Health, REFUSED};

/// What telemetry does with a bus.
impl Bus {
    /// Has what is published told to somebody else, on the publisher's thread; only the first call counts.
    pub(crate) fn tap(&self, tap: super::dispatch::Tap) {
        self.core().tap(tap);
    }

    /// Takes in what was derived. What finds no room is counted.
    pub(crate) fn pass_on<'r>(&self, records: impl Iterator<Item = &'r SharedRecord>) {
        self.core().pass_on(records);
    }

    /// Shows what derived events found no room, as a component's.
    pub(crate) fn show_missed(&self, component: &str, health: &Health) {
        let labels = [("component", component), ("signal", "events"), ("reason", "queue_full")];
        health.total(DROPPED, &labels, self.total(Core::missed));
    }

    /// Shows what was refused to publishers, and what handlers could not do.
    pub(crate) fn show(&self, health: &Health) {
        self.show_missed("bus", health);
        let refused = |reason, read| {
            health.total(REFUSED, &[("receiver", "bus"), ("signal", "events"), ("reason", reason)], self.total(read));
        };
        refused("rate_limited", |core| core.refused()[0]);
        refused("full", |core| core.refused()[1]);
        refused("closed", |core| core.refused()[2]);
        let dead = |reason, read| {
            health.total(DROPPED, &[("component", "bus"), ("signal", "events"), ("reason", reason)], self.total(read));
        };
        dead("handler_failed", |core| core.letters.count(DeathReason::Failed));
        dead("handler_panicked", |core| core.letters.count(DeathReason::Panicked));
        dead("overflow", |core| core.letters.count(DeathReason::Overflow));
    }

    /// Reads a total for as long as there is the bus.
    fn total(&self, read: fn(&Core) -> u64) -> impl Fn() -> f64 + Send + Sync + 'static {
        let core = Arc::downgrade(self.core());
        move || core.upgrade().map_or(0.0, |core| read(&core) as f64)
    }
}
