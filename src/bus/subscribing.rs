//! Choosing how a subscription is served.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::delivery::{Delivery, Handled};
use super::dispatch::{Core, NotAdded};
use super::inbox::{Inbox, Settings};
use super::queue::{Bounds, Overflow};
use super::ring::Weighed;
use super::stream::Stream;
use super::subscription::Subscription;
use super::worker;
use crate::event::{Event, Filter};

/// A subscription that is to be. Get one from [`Bus::subscription`](super::Bus::subscription); it begins with
/// [`handle`](Subscribing::handle) or [`stream`](Subscribing::stream).
#[must_use = "nothing is subscribed before `handle` or `stream`"]
pub struct Subscribing {
    core: Arc<Core>,
    settings: Settings,
    replay_from: Option<u64>,
}

/// Why there is no subscription.
#[derive(Debug)]
pub enum SubscribeError {
    /// Another subscription has this id: cancel it first.
    Taken(String),
    /// The bus was shut down.
    Closed,
    /// The system has no thread for it.
    NoThread(std::io::Error),
}

impl Subscribing {
    pub(super) fn new(core: Arc<Core>, id: &str) -> Subscribing {
        let settings = Settings {
            id: id.into(),
            filter: Filter::default(),
            predicate: None,
            bounds: Bounds { events: 10_000, bytes: 64 << 20 },
            overflow: Overflow::default(),
            in_order: false,
            attempts: 3,
            backoff: Duration::from_millis(50),
            is_stream: false,
        };
        Subscribing { core, settings, replay_from: None }
    }

    /// Only events that fit. Others do not even come to wait.
    pub fn filter(mut self, filter: Filter) -> Subscribing {
        self.settings.filter = filter;
        self
    }

    /// Only events of which this is true. It is asked by the subscription's own reader, so that one that is slow or
    /// panics harms nobody else.
    pub fn when(mut self, predicate: impl Fn(&Event) -> bool + Send + Sync + 'static) -> Subscribing {
        self.settings.predicate = Some(Box::new(predicate));
        self
    }

    /// At most this many events wait, 10,000 unless told otherwise, beside the one that is being handled.
    pub fn capacity(mut self, events: usize) -> Subscribing {
        self.settings.bounds.events = events.max(1);
        self
    }

    /// At most about this many bytes wait, 64 MiB unless told otherwise.
    pub fn capacity_bytes(mut self, bytes: usize) -> Subscribing {
        self.settings.bounds.bytes = bytes;
        self
    }

    /// What gives way where there is no room.
    pub fn overflow(mut self, overflow: Overflow) -> Subscribing {
        self.settings.overflow = overflow;
        self
    }

    /// Events in the order of their coming, whatever their priority.
    pub fn in_order(mut self) -> Subscribing {
        self.settings.in_order = true;
        self
    }

    /// How often an event is tried before it is a dead letter, three times unless told otherwise, and how long to wait
    /// before the second time, 50 ms; before each further one it is twice as long. What waits behind it waits as well.
    pub fn attempts(mut self, attempts: u32, backoff: Duration) -> Subscribing {
        (self.settings.attempts, self.settings.backoff) = (attempts.max(1), backoff);
        self
    }

    /// Begins with those events from an offset on that are still in memory, before those that come.
    pub fn replay_from(mut self, offset: u64) -> Subscribing {
        self.replay_from = Some(offset);
        self
    }

    /// Begins, with a function that is called with each event, on a thread of its own. It returns nothing or a `Result`.
    ///
    /// # Errors
    /// The id is taken, the bus is shut down, or the system has no thread.
    pub fn handle<H: Handled>(
        self,
        mut handler: impl FnMut(&Delivery) -> H + Send + 'static,
    ) -> Result<Subscription, SubscribeError> {
        let core = self.core.clone();
        let inbox = self.begin()?;
        let handler = Box::new(move |delivery: &Delivery| handler(delivery).error());
        if let Err(error) = worker::spawn(inbox.clone(), core.clone(), handler) {
            core.remove(&inbox);
            return Err(SubscribeError::NoThread(error));
        }
        Ok(Subscription::new(inbox, &core))
    }

    /// Begins, with a stream of events to be read by a task, or a thread.
    ///
    /// # Errors
    /// The id is taken, the bus is shut down, or the system has no thread.
    pub fn stream(mut self) -> Result<Stream, SubscribeError> {
        self.settings.is_stream = true;
        let core = self.core.clone();
        Ok(Stream::new(self.begin()?, core))
    }

    fn begin(self) -> Result<Arc<Inbox>, SubscribeError> {
        let Subscribing { core, settings, replay_from } = self;
        let id = settings.id.clone();
        let added = core.add(&id, |head| {
            let inbox = Arc::new(Inbox::new(settings, head));
            if let Some(from) = replay_from {
                let past = core.history(from, usize::MAX, &inbox.settings.filter).events;
                let past = past.into_iter().filter(|(offset, _)| *offset < head);
                let past: Vec<(u64, Weighed)> = past.map(|(offset, record)| (offset, Weighed::new(record))).collect();
                inbox.replay(&past, &core);
            }
            inbox
        });
        added.map_err(|error| match error {
            NotAdded::Taken => SubscribeError::Taken(id.to_string()),
            NotAdded::Closed => SubscribeError::Closed,
            NotAdded::NoThread(error) => SubscribeError::NoThread(error),
        })
    }
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubscribeError::Taken(id) => write!(f, "there is a subscription `{id}` already; cancel it first"),
            SubscribeError::Closed => f.write_str("the bus was shut down"),
            SubscribeError::NoThread(error) => write!(f, "the system has no thread for the subscription: {error}"),
        }
    }
}

impl std::error::Error for SubscribeError {}

impl fmt::Debug for Subscribing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subscribing").field(&self.settings.id).finish()
    }
}
