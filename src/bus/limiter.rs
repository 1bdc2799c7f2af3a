//! How often each source may publish: at once, in a second, in a minute. Pure: time is passed in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Timestamp;

/// What each source may publish; what is not said is not limited.
///
/// ```
/// use spanlight::bus::RateLimit;
///
/// let limit = RateLimit::default().per_second(100).per_minute(1000).burst(50);
/// # drop(limit);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    per_second: Option<u32>,
    per_minute: Option<u32>,
    burst: Option<u32>,
}

impl RateLimit {
    /// At most this many events, and at least one, in any second.
    pub fn per_second(self, events: u32) -> RateLimit {
        RateLimit { per_second: Some(events.max(1)), ..self }
    }

    /// At most this many events, and at least one, in any minute.
    pub fn per_minute(self, events: u32) -> RateLimit {
        RateLimit { per_minute: Some(events.max(1)), ..self }
    }

    /// At most this many events, and at least one, at once. Room for more comes evenly: `per_second` events in a second,
    /// or, where that is not limited, as many as this.
    pub fn burst(self, events: u32) -> RateLimit {
        RateLimit { burst: Some(events.max(1)), ..self }
    }
}

/// What one source did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStats {
    /// Its name.
    pub source: Arc<str>,
    /// Events that were within its limit.
    pub admitted: u64,
    /// Events that were not.
    pub refused: u64,
}

/// The limits of all sources.
#[derive(Debug)]
pub(super) struct Limiter {
    limit: RateLimit,
    most_sources: usize,
    sources: HashMap<Arc<str>, Source>,
    /// Of sources for which there was no room, which share one limit.
    others: Source,
    swept: u64,
}

#[derive(Debug)]
struct Source {
    second: Window<21>,
    minute: Window<61>,
    bucket: Bucket,
    last: u64,
    admitted: u64,
    refused: u64,
}

impl Limiter {
    /// A source of which nothing was heard for this long leaves room for another: its limits are as if it were new.
    const FORGOTTEN_AFTER: u64 = 62_000_000;
    const SWEEP_EVERY: u64 = 1_000_000;

    pub fn new(limit: RateLimit, most_sources: usize) -> Limiter {
        let others = Source::new(limit);
        Limiter { limit, most_sources, sources: HashMap::new(), others, swept: 0 }
    }

    /// Lets an event of a source pass, or says how long to wait.
    pub fn admit(&mut self, source: &str, now: Timestamp) -> Result<(), Duration> {
        let now = u64::try_from(now.as_micros()).unwrap_or_default();
        let limit = self.limit;
        self.of(source, now).admit(limit, now)
    }

    fn of(&mut self, name: &str, now: u64) -> &mut Source {
        if !self.sources.contains_key(name) {
            if self.sources.len() >= self.most_sources && now >= self.swept + Limiter::SWEEP_EVERY {
                self.swept = now;
                self.sources.retain(|_, source| source.last + Limiter::FORGOTTEN_AFTER > now);
            }
            if self.sources.len() >= self.most_sources {
                return &mut self.others;
            }
            self.sources.insert(name.into(), Source::new(self.limit));
        }
        self.sources.get_mut(name).unwrap_or(&mut self.others)
    }

    /// What each source did.
    pub fn stats(&self) -> Vec<SourceStats> {
        let others = (self.others.admitted + self.others.refused > 0).then_some(("(others)", &self.others));
        let named = self.sources.iter().map(|(name, source)| (&**name, source));
        let stats = named.chain(others).map(|(name, source)| SourceStats {
            source: name.into(),
            admitted: source.admitted,
            refused: source.refused,
        });
        let mut stats: Vec<SourceStats> = stats.collect();
        stats.sort_by(|a, b| a.source.cmp(&b.source));
        stats
    }
}

impl Source {
    fn new(limit: RateLimit) -> Source {
        Source {
            second: Window::new(50_000),
            minute: Window::new(1_000_000),
            bucket: Bucket::new(limit),
            last: 0,
            admitted: 0,
            refused: 0,
        }
    }

    fn admit(&mut self, limit: RateLimit, now: u64) -> Result<(), Duration> {
        // A clock that was set back must not stop a source until it is where it was.
        self.last = self.last.max(now);
        let now = self.last;
        let waits = [
            limit.per_second.map_or(0, |limit| self.second.wait(limit, now)),
            limit.per_minute.map_or(0, |limit| self.minute.wait(limit, now)),
            self.bucket.wait(now),
        ];
        match waits.into_iter().max().unwrap_or_default() {
            0 => {
                limit.per_second.iter().for_each(|_| self.second.add());
                limit.per_minute.iter().for_each(|_| self.minute.add());
                self.bucket.take(now);
                self.admitted += 1;
                Ok(())
            }
            wait => {
                self.refused += 1;
                Err(Duration::from_micros(wait))
            }
        }
    }
}

/// Counts of the last `N` slots of time. Any time as long as `N - 1` slots lies within `N` of them, so the limit holds
/// wherever one begins to count, at the price of waiting for up to a slot too long.
#[derive(Debug)]
struct Window<const N: usize> {
    slot: u64,
    counts: [u32; N],
    newest: u64,
    sum: u32,
}

impl<const N: usize> Window<N> {
    fn new(slot: u64) -> Window<N> {
        Window { slot, counts: [0; N], newest: 0, sum: 0 }
    }

    /// Microseconds until there is room for one more.
    fn wait(&mut self, limit: u32, now: u64) -> u64 {
        self.advance(now / self.slot);
        let mut sum = self.sum;
        let mut oldest = self.newest.saturating_sub(N as u64 - 1);
        while sum >= limit {
            sum -= self.counts[(oldest % N as u64) as usize];
            oldest += 1;
            if sum < limit {
                return ((oldest + N as u64 - 1) * self.slot).saturating_sub(now).max(1);
            }
        }
        0
    }

    fn add(&mut self) {
        self.counts[(self.newest % N as u64) as usize] += 1;
        self.sum += 1;
    }

    fn advance(&mut self, slot: u64) {
        let passed = slot.saturating_sub(self.newest).min(N as u64);
        for at in (slot + 1 - passed)..=slot {
            let count = &mut self.counts[(at % N as u64) as usize];
            self.sum -= *count;
            *count = 0;
        }
        self.newest = self.newest.max(slot);
    }
}

/// A bucket of tokens as the time at which it would be full again.
#[derive(Debug)]
struct Bucket {
    /// Nanoseconds for one token.
    token: u64,
    /// Nanoseconds for all.
    full: u64,
    full_at: u64,
}

impl Bucket {
    fn new(limit: RateLimit) -> Bucket {
        let token = limit.burst.map_or(0, |burst| 1_000_000_000 / u64::from(limit.per_second.unwrap_or(burst)));
        Bucket { token, full: token * u64::from(limit.burst.unwrap_or_default()), full_at: 0 }
    }

    /// Microseconds until there is a token.
    fn wait(&self, now: u64) -> u64 {
        (self.full_at.max(now * 1000) + self.token).saturating_sub(now * 1000 + self.full).div_ceil(1000)
    }

    fn take(&mut self, now: u64) {
        self.full_at = self.full_at.max(now * 1000) + self.token;
    }
}
