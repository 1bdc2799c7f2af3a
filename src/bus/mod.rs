//! Publish and subscribe within a process: events, the most urgent first, to whoever asked for them.
//!
//! Publishing never waits. Every subscription has a queue and a reader of its own, so that a handler that fails, panics
//! or hangs harms nobody but itself: what it cannot handle becomes a dead letter, which can be read and replayed. All is
//! bounded, and whatever did not arrive is counted under a reason.
//!
//! ```
//! use spanlight::bus::Bus;
//! use spanlight::event::{Event, Filter, Timestamp};
//! use std::time::Duration;
//!
//! let bus = Bus::new();
//! let failures = Filter::from_pairs([("status", "failed")], Timestamp::now()).unwrap();
//! let alerts = bus.subscribe("alerts", failures, |delivery| println!("{}", delivery.event().name)).unwrap();
//!
//! bus.publish(Event::agent_started("scribe")).unwrap();
//! bus.publish(Event::agent_failed("scribe", "out of tokens")).unwrap();
//!
//! alerts.flush(Duration::from_secs(5)).unwrap();
//! assert_eq!(alerts.analytics().delivered, 1);
//! ```

mod analytics;
mod builder;
mod delivery;
mod dispatch;
mod end;
#[cfg(feature = "layer")]
mod futures;
mod global;
mod inbox;
mod latency;
mod letters;
mod limiter;
mod publisher;
mod queue;
mod refused;
mod ring;
#[cfg(feature = "layer")]
mod show;
mod stats;
mod stream;
mod subscribing;
mod subscription;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use analytics::Analytics;
pub use builder::Builder;
pub use delivery::{Delivery, Handled};
use dispatch::Core;
pub use global::global;
use inbox::Inbox;
pub use latency::Latency;
pub use letters::{DeadLetter, DeathReason, LetterFilter};
pub use limiter::{RateLimit, SourceStats};
pub use publisher::Publisher;
pub use queue::Overflow;
pub use refused::{Published, Reason, Refused};
pub use ring::Page;
pub(crate) use ring::Weighed;
pub use stats::{RefusedStats, Stats};
pub use stream::Stream;
pub use subscribing::{SubscribeError, Subscribing};
pub use subscription::Subscription;

use crate::event::{Event, Filter, SourceKind};

/// The examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../docs/bus.md")]
struct Documentation;

/// A bus. A clone is the same; the last one ends it, and gives what waits two seconds.
#[derive(Clone)]
pub struct Bus(Arc<Handle>);

/// What the last clone takes with it.
struct Handle(Arc<Core>);

/// What was left when a bus was shut down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Events that were published and not handed on.
    pub pending: usize,
    /// Subscriptions with handlers that were not done, and how many events each of them had left.
    pub left: Vec<(Arc<str>, usize)>,
}

/// Why something was not replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayError {
    /// There is no such subscription, or no more.
    NoSubscription(String),
    /// There is no dead letter of this number, or no more.
    NoLetter(u64),
}

impl Bus {
    /// A bus with the usual limits, and none on how often a source publishes.
    pub fn new() -> Bus {
        Bus::builder().build()
    }

    /// Chooses limits.
    pub fn builder() -> Builder {
        Builder::new()
    }

    fn of(core: Arc<Core>) -> Bus {
        Bus(Arc::new(Handle(core)))
    }

    fn core(&self) -> &Arc<Core> {
        &self.0.0
    }

    /// Publishes an event. It never waits, and returns before anybody got it. Its source, for the limits of how often one
    /// publishes, is `source.service`, or the agent where that is absent; [`Bus::publisher`] gives one.
    ///
    /// ```
    /// use spanlight::bus::{Bus, RateLimit, Reason};
    /// use spanlight::event::Event;
    ///
    /// let bus = Bus::builder().rate_limit(RateLimit::default().per_minute(1)).build();
    /// bus.publish(Event::agent_started("scribe")).unwrap();
    /// let refused = bus.publish(Event::agent_completed("scribe")).unwrap_err();
    /// assert!(matches!(refused.reason, Reason::RateLimited { .. }));
    /// assert_eq!(bus.stats().refused.rate_limited, 1);
    /// bus.publish(Event::agent_started("medic")).unwrap();
    /// ```
    ///
    /// # Errors
    /// The source publishes too much, there is no room, or the bus was shut down. The event is given back.
    pub fn publish(&self, event: Event) -> Result<Published, Refused> {
        publish(self.core(), event)
    }

    /// Publishes under a name.
    pub fn publisher(&self, name: &str) -> Publisher {
        Publisher::new(self.core().clone(), name)
    }

    /// Calls a function with each event that fits, from now on, on a thread of its own. It returns nothing, or a `Result`
    /// whose errors are tried again: three times in all. [`Bus::subscription`] can do more.
    ///
    /// # Errors
    /// The id is taken, the bus was shut down, or the system has no thread.
    pub fn subscribe<H: Handled>(
        &self,
        id: &str,
        filter: Filter,
        handler: impl FnMut(&Delivery) -> H + Send + 'static,
    ) -> Result<Subscription, SubscribeError> {
        self.subscription(id).filter(filter).handle(handler)
    }

    /// A subscription to be described.
    ///
    /// ```
    /// use spanlight::bus::{Bus, Overflow};
    /// use spanlight::event::{Event, Priority};
    /// use std::time::Duration;
    ///
    /// let bus = Bus::new();
    /// let mut urgent = bus
    ///     .subscription("urgent")
    ///     .when(|event| event.priority <= Priority::new(3).unwrap())
    ///     .capacity(100)
    ///     .overflow(Overflow::Oldest)
    ///     .stream()
    ///     .unwrap();
    /// bus.publish(Event::performance_alert()).unwrap();
    /// bus.publish(Event::performance_alert().priority(Priority::new(1).unwrap()).tag("disk")).unwrap();
    /// let delivery = urgent.recv_timeout(Duration::from_secs(5)).unwrap();
    /// assert_eq!(&*delivery.event().tags[0], "disk");
    /// ```
    pub fn subscription(&self, id: &str) -> Subscribing {
        Subscribing::new(self.core().clone(), id)
    }

    /// The subscriptions there are.
    pub fn analytics(&self) -> Vec<Analytics> {
        self.core().subscriptions().iter().map(|inbox| inbox.analytics()).collect()
    }

    /// A subscription by its id.
    pub fn find(&self, id: &str) -> Option<Subscription> {
        let inbox = self.inbox(id)?;
        Some(Subscription::new(inbox, self.core()))
    }

    fn inbox(&self, id: &str) -> Option<Arc<Inbox>> {
        self.core().subscriptions().iter().find(|inbox| *inbox.settings.id == *id).cloned()
    }

    /// Events from an offset on that are still in memory. [`Page::next`] is where to go on, [`Page::gap`] says what is
    /// gone.
    pub fn get_events(&self, offset: u64) -> Page {
        self.history(offset, usize::MAX, &Filter::default())
    }

    /// The same for at most `limit` events that fit: by name, time, `correlation` …
    pub fn history(&self, offset: u64, limit: usize, filter: &Filter) -> Page {
        self.core().history(offset, limit, filter)
    }

    /// Delivers events that are still in memory once more, to one subscription: those that fit this filter, whatever the
    /// subscription's own is. Returns how many.
    ///
    /// ```
    /// use spanlight::bus::Bus;
    /// use spanlight::event::{Event, Filter, Timestamp};
    /// use std::time::Duration;
    ///
    /// let bus = Bus::new();
    /// bus.publish(Event::workflow_started("publish").correlation("order-7")).unwrap();
    /// bus.publish(Event::workflow_started("publish").correlation("order-8")).unwrap();
    /// let debugger = bus.subscribe("debugger", Filter::default(), |delivery| assert!(delivery.is_replay())).unwrap();
    /// let wanted = Filter::from_pairs([("correlation", "order-7")], Timestamp::now()).unwrap();
    /// assert_eq!(bus.replay(&wanted, "debugger").unwrap(), 1);
    /// # debugger.flush(Duration::from_secs(5)).unwrap();
    /// # assert_eq!(debugger.analytics().delivered, 1);
    /// ```
    ///
    /// # Errors
    /// There is no such subscription.
    pub fn replay(&self, filter: &Filter, subscription: &str) -> Result<usize, ReplayError> {
        let page = self.history(0, usize::MAX, filter);
        let events = page.events.into_iter().map(|(offset, record)| (offset, Weighed::new(record)));
        let events: Vec<(u64, Weighed)> = events.collect();
        match self.inbox(subscription) {
            Some(inbox) if inbox.replay(&events, self.core()) => Ok(events.len()),
            _ => Err(ReplayError::NoSubscription(subscription.to_owned())),
        }
    }

    /// The dead letters that are meant, oldest first.
    pub fn dead_letters(&self, filter: &LetterFilter) -> Vec<DeadLetter> {
        self.core().letters.list(filter)
    }

    /// Delivers a dead letter once more, to the subscription that it was for. If it fails again, it is another.
    ///
    /// # Errors
    /// There is no such letter, or its subscription is no more; then it stays.
    pub fn replay_dead_letter(&self, id: u64) -> Result<(), ReplayError> {
        let mut letters = self.core().letters.take(|letter| letter.id == id);
        let letter = letters.pop().ok_or(ReplayError::NoLetter(id))?;
        self.deliver_again(letter)
    }

    /// Delivers all dead letters that are meant once more, and says how many; those whose subscription is no more stay.
    pub fn replay_dead_letters(&self, filter: &LetterFilter) -> usize {
        let letters = self.core().letters.take(|letter| filter.matches(letter));
        letters.into_iter().filter_map(|letter| self.deliver_again(letter).ok()).count()
    }

    fn deliver_again(&self, letter: DeadLetter) -> Result<(), ReplayError> {
        let event = [(letter.offset, letter.event.clone())];
        if self.inbox(&letter.subscription).is_some_and(|inbox| inbox.replay(&event, self.core())) {
            return Ok(());
        }
        let error = ReplayError::NoSubscription(letter.subscription.to_string());
        self.core().letters.put_back(letter);
        Err(error)
    }

    /// Forgets the dead letters that are meant, and says how many these were.
    pub fn purge_dead_letters(&self, filter: &LetterFilter) -> usize {
        self.core().letters.take(|letter| filter.matches(letter)).len()
    }

    /// What the bus did so far.
    pub fn stats(&self) -> Stats {
        let core = self.core();
        let (names, pending, first, head) = core.log_stats();
        let (last_second, last_minute) = core.rates();
        let [rate_limited, full, closed] = core.refused();
        Stats {
            published: head,
            by_name: names.into_map(),
            last_second,
            last_minute,
            refused: RefusedStats { rate_limited, full, closed },
            missed: core.missed(),
            sources: core.sources(),
            pending,
            history: head - first,
            subscriptions: core.subscriptions().len(),
            dead_letters: core.letters.len(),
            dead_letters_forgotten: core.letters.forgotten(),
            is_open: !core.is_closed(),
        }
    }

    /// Waits until everything that was published before is handled. Blocks the thread.
    ///
    /// # Errors
    /// What was left when the time was over. Streams are not waited for.
    pub fn flush(&self, timeout: Duration) -> Result<(), Report> {
        let report = self.core().wait(Instant::now() + timeout);
        if report.is_clean() { Ok(()) } else { Err(report) }
    }

    /// Ends the bus: it takes nothing more in, and what waits is handled until the deadline. Says what was left, which is
    /// discarded. Streams can still be read to their end. Blocks the thread; whoever comes second waits as well.
    pub fn shutdown(&self, timeout: Duration) -> Report {
        self.core().shutdown(Instant::now() + timeout)
    }
}

/// Publishes what is well formed as it is meant: figures that cannot be are left out.
fn publish(core: &Core, mut event: Event) -> Result<Published, Refused> {
    event.performance = event.performance.possible();
    event.source.kind = SourceKind::Bus;
    core.publish(event)
}

impl Default for Bus {
    fn default() -> Bus {
        Bus::new()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if !self.0.is_closed() {
            self.0.shutdown(Instant::now() + Duration::from_secs(2));
        }
    }
}

impl Report {
    /// Whether nothing was left.
    pub fn is_clean(&self) -> bool {
        *self == Report::default()
    }
}

impl std::fmt::Display for ReplayError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReplayError::NoSubscription(id) => write!(f, "there is no subscription `{id}` to replay to"),
            ReplayError::NoLetter(id) => write!(f, "there is no dead letter {id}"),
        }
    }
}

impl std::error::Error for ReplayError {}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("stats", &self.stats()).finish()
    }
}
