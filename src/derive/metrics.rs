//! What metrics say of agents' work that nothing else says.

use super::{Deriver, Output};
use crate::event::Timestamp;
use crate::otlp::Batch;

impl Deriver {
    /// Takes the metrics of a batch in.
    pub fn metrics(&mut self, _batch: &Batch, _now: Timestamp, _out: &mut Output) {}
}
