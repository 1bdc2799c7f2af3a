//! Spans that closed a short while ago, because what follows from a span is often made after it has closed.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::event::{SpanId, TraceId};

/// The last of them, by the registry's id: the trace, and what they hung below.
#[derive(Default)]
pub struct Closed {
    by_registry_id: HashMap<u64, (TraceId, Option<SpanId>), RandomState>,
    older: HashMap<u64, (TraceId, Option<SpanId>), RandomState>,
}

impl Closed {
    const MOST: usize = 4096;

    /// Remembers a span that has just closed.
    pub fn remember(&mut self, id: u64, ids: (TraceId, Option<SpanId>)) {
        if self.by_registry_id.len() >= Closed::MOST {
            self.older = std::mem::take(&mut self.by_registry_id);
        }
        self.by_registry_id.insert(id, ids);
    }

    /// What is remembered of a span.
    pub fn find(&self, id: u64) -> Option<(TraceId, Option<SpanId>)> {
        self.by_registry_id.get(&id).or_else(|| self.older.get(&id)).copied()
    }
}
