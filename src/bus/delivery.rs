//! An event as a subscription gets it.

use std::fmt;

use super::queue::Entry;
use crate::event::Event;
use crate::flow::SharedRecord;

/// An event that is delivered.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub(super) entry: Entry,
    pub(super) attempt: u32,
}

impl Delivery {
    /// The event.
    pub fn event(&self) -> &Event {
        self.record().event()
    }

    /// The event as it is shared with all others who get it; its JSON is made once for all of them.
    pub fn record(&self) -> &SharedRecord {
        &self.entry.event.record
    }

    /// Where it stands among all that were published on the bus.
    pub fn offset(&self) -> u64 {
        self.entry.offset
    }

    /// 1, and one more whenever the handler failed.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether it is of the past: from the history, or a dead letter.
    pub fn is_replay(&self) -> bool {
        self.entry.is_replay
    }
}

/// What a handler may return: nothing, or whether it could do it.
pub trait Handled {
    /// What went wrong, if anything did.
    fn error(self) -> Option<String>;
}

impl Handled for () {
    fn error(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> Handled for Result<(), E> {
    fn error(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}
