//! Spans that closed a short while ago, because what follows from a span is often made after it has closed.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::event::{SpanId, TraceId};

/// The last of them, by the registry's id.
#[derive(Default)]
pub struct Closed {
    by_registry_id: HashMap<u64, Beside, RandomState>,
    older: HashMap<u64, Beside, RandomState>,
}

/// What a span takes over from the one that it follows from.
#[derive(Clone, Debug)]
pub struct Beside {
    /// The trace.
    pub trace: TraceId,
    /// What the other hangs, or hung, below.
    pub parent: Option<SpanId>,
    /// The agent that the other names.
    pub agent: Option<Box<str>>,
}

impl Closed {
    const MOST: usize = 4096;

    /// Remembers a span that has just closed.
    pub fn remember(&mut self, id: u64, span: Beside) {
        if self.by_registry_id.len() >= Closed::MOST {
            self.older = std::mem::take(&mut self.by_registry_id);
        }
        self.by_registry_id.insert(id, span);
    }

    /// What is remembered of a span.
    pub fn find(&self, id: u64) -> Option<Beside> {
        self.by_registry_id.get(&id).or_else(|| self.older.get(&id)).cloned()
    }
}
