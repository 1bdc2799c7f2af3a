//! Functions of the agent's own code as sinks: subscriptions of a bus of their own, so that one that panics or hangs is
//! alone.

use std::time::{Duration, Instant};

use tracing::Dispatch;

use crate::bus::{Bus, Overflow, SubscribeError, Subscription};
use crate::connector::EventSink;
use crate::export::Left;
use crate::flow::SharedRecord;
use crate::health::{DROPPED, Health, QUEUE_CAPACITY, SENT};

/// What handles an event.
pub type Handler = Box<dyn FnMut(&SharedRecord) + Send>;

/// The bus of the sinks.
#[derive(Clone)]
pub struct Sinks(Bus);

impl Sinks {
    /// Without any yet. What a sink has no room for is gone, so nothing is remembered.
    pub fn new(health: &Health) -> Sinks {
        let bus = Bus::builder().history(0, 0).dead_letters(0, 0).build();
        bus.show_missed("sinks", health);
        Sinks(bus)
    }

    /// Adds one. At most `capacity` events wait for it.
    pub fn add(
        &self,
        number: usize,
        capacity: usize,
        mut handle: Handler,
        health: &Health,
    ) -> Result<(), SubscribeError> {
        let name = format!("sink/{number}");
        let subscribing = self.0.subscription(&name).in_order().capacity(capacity).overflow(Overflow::Newest);
        let subscription = subscribing.attempts(1, Duration::ZERO).handle(move |delivery| {
            // What it traces while it handles an event would be another event.
            tracing::dispatcher::with_default(&Dispatch::none(), || handle(delivery.record()));
        })?;
        show(&name, capacity, &subscription, health);
        Ok(())
    }

    /// Where events for all of them go, if there are any.
    pub fn entrance(&self) -> Option<EventSink> {
        let bus = self.0.clone();
        let has_any = !bus.analytics().is_empty();
        has_any.then(|| Box::new(move |records: &[SharedRecord]| bus.pass_on(records.iter())) as EventSink)
    }

    /// Ends them, whatever they are at.
    pub fn end(&self) {
        self.0.shutdown(Duration::ZERO);
    }

    /// Waits until all is handled; what is left of it at the deadline.
    pub fn wait(&self, deadline: Instant) -> Vec<Left> {
        left_of(&self.0, deadline)
    }
}

/// What the handlers of a bus have left at the deadline.
pub fn left_of(bus: &Bus, deadline: Instant) -> Vec<Left> {
    let Err(report) = bus.flush(deadline.saturating_duration_since(Instant::now())) else { return Vec::new() };
    let pending = (report.pending > 0).then(|| Left { exporter: "bus".to_owned(), items: report.pending, kept: 0 });
    let left = report.left.into_iter().map(|(id, items)| Left { exporter: id.to_string(), items, kept: 0 });
    pending.into_iter().chain(left).collect()
}

fn show(name: &str, capacity: usize, subscription: &Subscription, health: &Health) {
    let exporter = [("exporter", name), ("signal", "events")];
    let of = subscription.clone();
    health.total(SENT, &exporter, move || of.analytics().delivered as f64);
    health.gauge(QUEUE_CAPACITY, &exporter, move || capacity as f64);
    let dropped = |reason, pick: fn(&crate::bus::Analytics) -> u64| {
        let of = subscription.clone();
        let labels = [("component", name), ("signal", "events"), ("reason", reason)];
        health.total(DROPPED, &labels, move || pick(&of.analytics()) as f64);
    };
    dropped("queue_full", |analytics| analytics.overflowed);
    dropped("panicked", |analytics| analytics.panicked);
    dropped("expired", |analytics| analytics.expired);
}
