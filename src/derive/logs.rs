//! What log records say of agents' work: those that are events of ours.

use super::{Deriver, Output};
use crate::event::Timestamp;
use crate::otlp::Batch;
use crate::otlp::records::to_event;

impl Deriver {
    /// Takes the log records of a batch in.
    pub fn logs(&mut self, batch: &Batch, now: Timestamp, out: &mut Output) {
        for group in batch.groups() {
            for event in group.log_records().filter_map(|record| to_event(&group, &record, now)) {
                self.event(event, now, out);
            }
        }
    }
}
