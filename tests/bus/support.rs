//! Events for tests, a clock that stands still, and waiting for what another thread does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use spanlight::bus::{Analytics, Builder, Bus, Delivery, Subscription};
use spanlight::event::{Event, Filter, Priority, Timestamp};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// An event with a tag to know it by.
pub fn event(tag: &str, priority: u8) -> Event {
    Event::health_checked().tag(tag).priority(Priority::new(priority).unwrap())
}

pub fn tag(event: &Event) -> String {
    event.tags[0].to_string()
}

pub fn filter(pairs: &[(&str, &str)]) -> Filter {
    Filter::from_pairs(pairs.iter().copied(), Timestamp::now()).unwrap()
}

/// Waits until something is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// A clock that goes on when it is told to.
#[derive(Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    pub fn new() -> Clock {
        Clock(Arc::new(AtomicI64::new(Timestamp::now().as_micros())))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(SeqCst))
    }

    pub fn pass(&self, time: Duration) {
        self.0.fetch_add(time.as_micros() as i64, SeqCst);
    }

    pub fn of(&self, builder: Builder) -> Builder {
        let clock = self.clone();
        builder.clock(move || clock.now())
    }
}

/// A handler that waits to be let on, and notes what it got.
pub struct Gate {
    open: Sender<()>,
    pub entered: Receiver<String>,
}

impl Gate {
    pub fn new() -> (Gate, impl FnMut(&Delivery) + Send) {
        let (open, opened) = channel();
        let (enter, entered) = channel();
        let handler = move |delivery: &Delivery| {
            enter.send(tag(delivery.event())).ok();
            opened.recv().ok();
        };
        (Gate { open, entered }, handler)
    }

    /// Waits until the handler is in it.
    pub fn next(&self) -> String {
        self.entered.recv_timeout(PATIENCE).unwrap()
    }

    pub fn let_on(&self) {
        self.open.send(()).unwrap();
    }
}

/// Everything that was offered became something.
pub fn assert_conserved(analytics: &Analytics) {
    let Analytics { delivered, failed, panicked, expired, filtered, overflowed, discarded, .. } = analytics;
    let sum = delivered + failed + panicked + expired + filtered + overflowed + discarded;
    assert_eq!(analytics.offered, sum + analytics.waiting as u64, "{analytics:?}");
}

pub fn settle(bus: &Bus, subscription: &Subscription) -> Analytics {
    bus.flush(PATIENCE).unwrap();
    let analytics = subscription.analytics();
    assert_conserved(&analytics);
    analytics
}
