//! Processors: what changes telemetry on its way. Synchronous; they cannot fail or block, and count what they
//! drop.
//!
//! `memory_limiter` and `batch` are configured among them, as the OpenTelemetry Collector has it, but do their
//! work elsewhere: refusing belongs in front of the receivers, and waiting for more belongs into the exporters'
//! queues, where nothing is acknowledged before it is safe.

pub mod attributes;
pub mod batch;
pub mod filter;
mod machine;
pub mod matching;
pub mod memory_limiter;
pub mod placeholders;
pub mod presets;
pub mod redaction;

use crate::event::Event;
use crate::health::{Count, DROPPED, Health};
use crate::otlp::Batch;

/// A processor of a pipeline.
pub struct Processor {
    kind: Kind,
    dropped: Count,
}

/// What processors there are.
pub enum Kind {
    /// Drops what does not match.
    Filter(Box<filter::Filter>),
    /// Sets, removes and hashes attributes.
    Attributes(Box<attributes::Attributes>),
    /// Withholds content and secrets.
    Redaction(redaction::Redaction),
}

impl Processor {
    /// With its own count of what it drops.
    pub fn new(kind: Kind, id: &str, pipeline: &str, health: &Health) -> Processor {
        let reason = match kind {
            Kind::Filter(_) => "filtered",
            Kind::Attributes(_) | Kind::Redaction(_) => "processed",
        };
        let labels = [("component", id), ("pipeline", pipeline), ("reason", reason)];
        Processor { kind, dropped: health.counter(DROPPED, &labels) }
    }

    /// The batch as it goes on, unless nothing of it does.
    pub fn batch(&self, batch: Batch) -> Option<Batch> {
        let edited = match &self.kind {
            Kind::Filter(filter) => filter.batch(&batch),
            Kind::Attributes(attributes) => attributes.batch(&batch),
            Kind::Redaction(redaction) => redaction.batch(&batch),
        };
        let Some(edited) = edited else { return Some(batch) };
        self.dropped.add(batch.items() - edited.items());
        (!edited.is_empty()).then_some(edited)
    }

    /// The event as it goes on, unless it does not.
    pub fn event(&self, event: &Event) -> Option<Event> {
        match &self.kind {
            Kind::Filter(filter) => {
                let passes = filter.event(event);
                self.dropped.add(usize::from(!passes));
                passes.then(|| event.clone())
            }
            Kind::Redaction(redaction) => Some(redaction.event(event.clone())),
            Kind::Attributes(_) => Some(event.clone()),
        }
    }
}
