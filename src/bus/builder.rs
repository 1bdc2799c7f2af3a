//! Choosing the limits of a bus.

use std::sync::Arc;

use super::Bus;
use super::dispatch::{Clock, Core};
use super::letters::Letters;
use super::limiter::{Limiter, RateLimit};
use super::queue::Bounds;
use super::ring::Ring;
use crate::event::Timestamp;

/// How a bus is made. Get one from [`Bus::builder`].
pub struct Builder {
    rate_limit: Option<RateLimit>,
    sources: usize,
    pending: Bounds,
    history: Bounds,
    dead_letters: Bounds,
    clock: Clock,
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            rate_limit: None,
            sources: 1024,
            pending: Bounds { events: 65_536, bytes: 256 << 20 },
            history: Bounds { events: 10_000, bytes: 64 << 20 },
            dead_letters: Bounds { events: 1000, bytes: 16 << 20 },
            clock: Box::new(Timestamp::now),
        }
    }

    /// How often each source may publish. Without this it is not limited.
    pub fn rate_limit(mut self, limit: RateLimit) -> Builder {
        self.rate_limit = Some(limit);
        self
    }

    /// How many sources have limits of their own, 1,024 unless told otherwise; further ones share one. A source of which
    /// nothing was heard for a minute makes room for another.
    pub fn sources(mut self, most: usize) -> Builder {
        self.sources = most;
        self
    }

    /// How much may wait to be handed on to subscriptions, 65,536 events and about 256 MiB unless told otherwise. That is
    /// quick: what waits for a handler is bounded by its subscription.
    pub fn capacity(mut self, events: usize, bytes: usize) -> Builder {
        self.pending = Bounds { events: events.max(1), bytes };
        self
    }

    /// How much stays in memory to be replayed, 10,000 events and about 64 MiB unless told otherwise.
    pub fn history(mut self, events: usize, bytes: usize) -> Builder {
        self.history = Bounds { events, bytes };
        self
    }

    /// How many dead letters stay, 1,000 and about 16 MiB unless told otherwise.
    pub fn dead_letters(mut self, letters: usize, bytes: usize) -> Builder {
        self.dead_letters = Bounds { events: letters, bytes };
        self
    }

    /// What tells the time for rate limits and for what expires, instead of the system's clock.
    pub fn clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Builder {
        self.clock = Box::new(now);
        self
    }

    /// Makes it. Threads are started for subscriptions only.
    pub fn build(self) -> Bus {
        let ring = Ring::new(self.history.events, self.history.bytes);
        let letters = Letters::new(self.dead_letters.events, self.dead_letters.bytes);
        let limiter = self.rate_limit.map(|limit| Limiter::new(limit, self.sources));
        Bus::of(Arc::new(Core::new(ring, self.pending, letters, limiter, self.clock)))
    }

    /// Makes it, and makes it that of the whole process, which is [`global`](super::global).
    ///
    /// # Errors
    /// There is one already, which stays; this one is given back.
    pub fn init(self) -> Result<&'static Bus, Bus> {
        super::global::set(self.build())
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("rate_limit", &self.rate_limit).finish_non_exhaustive()
    }
}
