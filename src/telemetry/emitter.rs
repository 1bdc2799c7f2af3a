//! How events of the program's own code enter telemetry, with where they happened.

use std::sync::Arc;

use tracing::Span;

use crate::event::Event;
use crate::layer::{self, AgentLayer};

/// What says that something happened, on the thread where it did.
#[derive(Clone)]
pub struct Emitter {
    pub source: Arc<layer::Source>,
    pub service: Arc<str>,
    pub instance: Arc<str>,
}

impl Emitter {
    /// Writes an event down, with the span that it happened in.
    pub fn emit(&self, mut event: Event) {
        event.performance = event.performance.possible();
        event.source.service.get_or_insert_with(|| self.service.clone());
        event.source.instance.get_or_insert_with(|| self.instance.clone());
        let span = Span::current().with_subscriber(|(id, dispatch)| {
            let layer = AgentLayer::of(dispatch).filter(|layer| Arc::ptr_eq(layer.source(), &self.source))?;
            layer.nearest(dispatch, id)
        });
        self.source.lanes().emit(Box::new(event), span.flatten().unwrap_or(0));
    }
}
