//! What a publisher is told.

use std::fmt;
use std::time::Duration;

use crate::event::Event;

/// An event was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where it stands among all that were published on this bus.
    pub offset: u64,
}

/// An event was not taken in, and is given back.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    pub(super) event: Box<Event>,
}

/// Why an event was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its source published too much.
    RateLimited {
        /// When there is room for one more.
        retry_after: Duration,
    },
    /// More was published than can be handed on, which is a matter of milliseconds.
    Full,
    /// The bus was shut down.
    Closed,
}

impl Refused {
    /// The event, to be published later.
    pub fn into_event(self) -> Event {
        *self.event
    }
}

impl Reason {
    /// How many kinds there are.
    pub(super) const KINDS: usize = 3;

    pub(super) fn kind(self) -> usize {
        match self {
            Reason::RateLimited { .. } => 0,
            Reason::Full => 1,
            Reason::Closed => 2,
        }
    }

    /// How it is spelled in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::RateLimited { .. } => "rate_limited",
            Reason::Full => "full",
            Reason::Closed => "closed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::RateLimited { retry_after } => {
                write!(f, "its source publishes too much; try again in {}", crate::duration::display(*retry_after))
            }
            Reason::Full => f.write_str("the bus has no room until what was published before is handed on; try again"),
            Reason::Closed => f.write_str("the bus was shut down"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the event {} was not published: {}", self.event.name, self.reason)
    }
}

impl std::error::Error for Refused {}
