//! Looking ahead at runs that are about to leave memory: no cache holds them any more.
//!
//! What is read one thing after another waits for memory each time. Here much is read at once that does not depend on each
//! other, a moment before it is worked with, and all of it comes in the time of one. Nothing is done with what is read.

use std::hint::black_box;
use std::mem::discriminant;

use super::node::{Call, Labels, Node};
use super::run::{Run, RunKey};

impl Run {
    /// Brings the run itself, wherever in it something is read or dropped when it leaves.
    pub fn bring(&self) {
        black_box((
            (self.closing, self.closed, self.has_meaning, self.turn.is_some(), self.due, self.looked_at),
            (matches!(self.key, RunKey::Trace(_)), self.service.is_some(), self.unless_spans_of.is_some()),
            (self.labels.conversation.is_some(), self.labels.tags.is_some()),
            (self.nodes.len(), self.unsettled.len(), self.waiting.len(), self.task_work.len(), self.told_tasks.len()),
            (self.aliases.len(), self.held.len(), self.undecided.len(), self.overcounted.len(), self.waits.len()),
            (self.other_traces.len(), self.call_ids.is_empty(), self.loops.is_empty()),
        ));
    }

    /// Brings its nodes, and what hangs on them; the run itself should be there by now.
    pub fn bring_nodes(&self) {
        for node in &self.nodes {
            bring_node(node);
            node.call.as_deref().into_iter().for_each(bring_call);
            node.labels.as_deref().into_iter().for_each(bring_labels);
        }
        // A line has four of them.
        self.unsettled.iter().step_by(4).for_each(|(arrived, _)| _ = black_box(*arrived));
    }
}

/// Makes a function that reads fields which are enums, as options are, and a list of where they lie.
macro_rules! bring {
    ($name:ident, $places:ident, $of:ident: $($($field:ident).+),+) => {
        fn $name(of: &$of) {
            black_box(($(discriminant(&of.$($field).+)),+));
        }

        #[cfg(test)]
        const $places: &[usize] = &[$(std::mem::offset_of!($of, $($field).+)),+];
    };
}

// Fields that lie apart, so that no line of memory is left out.
bring!(bring_node, PLACES_IN_NODE, Node: shared_id, name, model, call);
bring!(bring_call, PLACES_IN_CALL, Call: usage.input, usage.reasoning, price.reported_usd, request_model);
bring!(bring_labels, PLACES_IN_LABELS, Labels: conversation, tags);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_left_out() {
        const LINE: usize = 64;
        let things = [
            (size_of::<Node>(), PLACES_IN_NODE),
            (size_of::<Call>(), PLACES_IN_CALL),
            (size_of::<Labels>(), PLACES_IN_LABELS),
        ];
        for (size, places) in things {
            let left_out = |line: &usize| !places.iter().any(|place| place / LINE == *line);
            assert_eq!((0..size.div_ceil(LINE)).find(left_out), None, "of {size} bytes, {places:?} are read");
        }
    }
}
