//! Looking ahead at runs that are about to leave memory: no cache holds them any more.
//!
//! What is read one thing after another waits for memory each time. Here the processor is told what will be wanted, a moment before
//! it is worked with, and fetches all of it meanwhile: first a run, then its nodes, and then what hangs on these, because each
//! says where the next lies.

use std::mem::offset_of;
use std::slice::from_ref;

use prefetch_index::prefetch_index;

use super::node::{Call, Labels, Node};
use super::run::Run;

impl Run {
    /// Brings the run itself.
    pub fn bring(&self) {
        bring(&self.closed, offset_of!(Run, closed), size_of::<Run>());
    }

    /// Brings its nodes; the run itself should be there by now.
    pub fn bring_nodes(&self) {
        for node in &self.nodes {
            bring(&node.settled, offset_of!(Node, settled), size_of::<Node>());
        }
        // A line has four of them.
        (0..self.unsettled.len()).step_by(4).for_each(|at| prefetch_index(&self.unsettled, at));
    }

    /// Brings what hangs on its nodes, which should be there by now.
    pub fn bring_calls(&self) {
        for node in &self.nodes {
            if let Some(call) = &node.call {
                bring(&call.model_answered, offset_of!(Call, model_answered), size_of::<Call>());
            }
            if let Some(labels) = &node.labels {
                bring(&labels.conversation, offset_of!(Labels, conversation), size_of::<Labels>());
            }
        }
    }
}

/// What processors bring at once, in bytes.
const LINE: usize = 64;

/// Brings all lines of a thing of a size in which a field lies at an offset, by where they lie from the field.
#[inline(always)]
fn bring<F>(field: &F, offset: usize, size: usize) {
    for line in 0..size.div_ceil(LINE) {
        let lines = line.wrapping_sub(offset / LINE);
        prefetch_index(from_ref(field), lines.wrapping_mul(LINE / size_of::<F>()));
    }
}
