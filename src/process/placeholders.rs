//! Spans that stand for others which go on, left out on the way to tracing backends: these would show them as spans
//! beside those that they stand for.

use memchr::memmem;

use crate::health::{Count, DROPPED, Health};
use crate::otlp::edit::Edit;
use crate::otlp::view::Span;
use crate::otlp::{Batch, Signal};
use crate::semconv::{Key, PENDING_SPAN};

/// Leaves placeholders out.
#[derive(Debug)]
pub struct Placeholders {
    dropped: Count,
}

impl Placeholders {
    /// Of a pipeline.
    pub fn new(pipeline: &str, health: &Health) -> Placeholders {
        let labels = [("component", "agent"), ("pipeline", pipeline), ("reason", PENDING_SPAN)];
        Placeholders { dropped: health.counter(DROPPED, &labels) }
    }

    /// The batch without them; nothing if there are none. Looking for the word costs little beside reading spans.
    pub fn leave_out(&self, batch: &Batch) -> Option<Batch> {
        if batch.signal() != Signal::Traces || memmem::find(batch.bytes(), PENDING_SPAN.as_bytes()).is_none() {
            return None;
        }
        let mut left_out = 0;
        let edited = batch.edit(|_, record| {
            if !is_placeholder(&Span::read(record)) {
                return Edit::Keep;
            }
            left_out += 1;
            Edit::Drop
        });
        self.dropped.add(left_out);
        edited
    }
}

fn is_placeholder(span: &Span<'_>) -> bool {
    let mut attributes = span.attributes();
    let said = attributes.find(|attribute| attribute.key == *Key::LOGFIRE_SPAN_TYPE.name());
    said.and_then(|said| said.value.text()).is_some_and(|text| text == *PENDING_SPAN)
}
