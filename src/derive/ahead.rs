//! Looking ahead at runs that are about to leave memory: no cache holds them any more.
//!
//! What is read one thing after another waits for memory each time. Here much is read at once that does not depend on each
//! other, a moment before it is worked with, and all of it comes in the time of one. Nothing is done with what is read.

use std::hint::black_box;
use std::ops::BitXor;

use super::node::{Call, Node};
use super::run::{Run, RunKey};

impl Run {
    /// Brings the run itself, wherever in it something is read or dropped when it leaves.
    pub fn bring(&self) {
        black_box((
            (self.closing, self.closed, self.has_meaning, self.turn.is_some()),
            (matches!(self.key, RunKey::Trace(_)), self.labels.conversation.is_some(), self.service.is_some()),
            (self.nodes.len(), self.unsettled.len(), self.waiting.len(), self.task_work.len(), self.told_tasks.len()),
            (self.aliases.len(), self.held.len(), self.undecided.len(), self.overcounted.len(), self.waits.len()),
            self.other_traces.len(),
        ));
    }

    /// Brings its nodes and their calls; the run itself should be there by now.
    pub fn bring_nodes(&self) {
        black_box(self.nodes.iter().map(touch).fold(false, BitXor::bitxor));
    }
}

/// Reads fields of a node and its call that lie apart, so that hardly a line of either is left out.
fn touch(node: &Node) -> bool {
    let of_call = |call: &Call| {
        (call.usage.input.is_some() ^ call.usage.output_audio.is_some())
            ^ (call.price.reported_usd.is_some() ^ call.request_model.is_some() ^ call.error_type.is_some())
    };
    let of_node = node.settled ^ node.labels.is_some() ^ node.name.is_some() ^ (node.start < node.end);
    of_node ^ node.call.as_deref().is_some_and(of_call)
}
