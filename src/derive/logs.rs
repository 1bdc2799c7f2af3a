//! What log records say of agents' work: those that are events of ours.

use super::partial::partial_span;
use super::{Deriver, Output};
use crate::event::Timestamp;
use crate::otlp::Batch;
use crate::otlp::records::to_event;

impl Deriver {
    /// Takes the log records of a batch in.
    pub fn logs(&mut self, batch: &Batch, now: Timestamp, out: &mut Output) {
        for group in batch.groups() {
            for record in group.log_records() {
                if let Some(event) = to_event(&group, &record, now) {
                    self.event(event, now, out);
                } else if let Some(span) = partial_span(&record) {
                    self.live_spans(&span, now, out);
                }
            }
        }
    }
}
