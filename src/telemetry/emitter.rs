//! How events of the program's own code enter telemetry, with where they happened.

use std::sync::Arc;

use tracing::Span;

use crate::event::{Event, SourceKind};
use crate::layer::{self, AgentLayer};

/// What says that something happened, on the thread where it did.
#[derive(Clone)]
pub struct Emitter {
    pub source: Arc<layer::Source>,
    pub service: Arc<str>,
    pub instance: Arc<str>,
}

impl Emitter {
    /// Writes an event down that came over the bus, with the span that it happened in.
    pub fn emit(&self, event: Event) {
        self.write(event, self.here());
    }

    /// The same for an event that this program says itself.
    pub fn emit_own(&self, mut event: Event, span: Option<u64>) {
        event.source.kind = SourceKind::Layer;
        self.write(event, span);
    }

    /// The span of an agent's work around the caller.
    pub fn here(&self) -> Option<u64> {
        let span = Span::current().with_subscriber(|(id, dispatch)| {
            let layer = AgentLayer::of(dispatch).filter(|layer| Arc::ptr_eq(layer.source(), &self.source))?;
            layer.nearest(dispatch, id)
        });
        span.flatten()
    }

    fn write(&self, mut event: Event, span: Option<u64>) {
        event.performance = event.performance.possible();
        event.source.service.get_or_insert_with(|| self.service.clone());
        event.source.instance.get_or_insert_with(|| self.instance.clone());
        self.source.lanes().emit(Box::new(event), span.unwrap_or(0));
    }
}
