//! What is behind a bus: a log that publishers append to, and a thread that hands on what is new to all inboxes, many
//! events at a time. A publisher takes one lock for a moment, however many subscribers there are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;
use std::{io, thread};

use super::inbox::Inbox;
use super::letters::Letters;
use super::limiter::{Limiter, SourceStats};
use super::queue::Bounds;
use super::refused::{Published, Reason, Refused};
use super::ring::{Page, Ring, Weighed};
use super::stats::{Names, Rate};
use crate::event::{Event, Filter, Timestamp};
use crate::flow::{Record, SharedRecord};

/// Tells the time.
pub(super) type Clock = Box<dyn Fn() -> Timestamp + Send + Sync>;
/// Gets what is published, on the publisher's thread.
pub(crate) type Tap = Box<dyn Fn(&Event) + Send + Sync>;

/// What a bus is made of.
pub(crate) struct Core {
    pub(super) letters: Letters,
    log: Mutex<Log>,
    /// Told to the dispatcher: there is something, or nothing more comes.
    work: Condvar,
    /// Told to whoever waits for the dispatcher: all is handed on.
    handed_on: Condvar,
    subscriptions: Mutex<Arc<[Arc<Inbox>]>>,
    limiter: Option<Mutex<Limiter>>,
    clock: Clock,
    tap: OnceLock<Tap>,
    rate: Mutex<Rate>,
    refused: [AtomicU64; Reason::KINDS],
    missed: AtomicU64,
    pending: Bounds,
}

struct Log {
    ring: Ring,
    names: Names,
    /// What is before this offset was handed on.
    handed_on: u64,
    pending_bytes: usize,
    dispatcher: Dispatcher,
    /// Whether somebody waits for the dispatcher.
    has_waiters: bool,
    closed: bool,
}

impl Log {
    /// What leaves memory, to be freed outside of the lock.
    fn evict(&mut self) -> Vec<SharedRecord> {
        let (handed_on, pending) = (self.handed_on, self.pending_bytes);
        std::iter::from_fn(|| self.ring.evict(handed_on, pending)).collect()
    }
}

/// What the thread is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dispatcher {
    /// There is none, because nobody ever subscribed.
    None,
    Busy,
    Asleep,
}

impl Core {
    /// So many events are handed on at a time.
    const BATCH: usize = 256;

    pub fn new(ring: Ring, pending: Bounds, letters: Letters, limiter: Option<Limiter>, clock: Clock) -> Core {
        Core {
            letters,
            log: Mutex::new(Log {
                ring,
                names: Names::default(),
                handed_on: 0,
                pending_bytes: 0,
                dispatcher: Dispatcher::None,
                has_waiters: false,
                closed: false,
            }),
            work: Condvar::new(),
            handed_on: Condvar::new(),
            subscriptions: Mutex::new(Arc::new([])),
            limiter: limiter.map(Mutex::new),
            clock,
            tap: OnceLock::new(),
            rate: Mutex::default(),
            refused: Default::default(),
            missed: AtomicU64::new(0),
            pending,
        }
    }

    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Has what is published told to somebody else; only the first call counts.
    #[cfg(feature = "layer")]
    pub fn tap(&self, tap: Tap) {
        self.tap.get_or_init(|| tap);
    }

    /// Takes an event of a source in, and tells the tap of it.
    pub fn publish(&self, event: Event) -> Result<Published, Refused> {
        if let Some(limiter) = &self.limiter {
            let source = event.source.service.as_deref().or(event.dimensions.agent.as_deref()).unwrap_or("(unnamed)");
            let admitted = lock(limiter).admit(source, self.now());
            if let Err(retry_after) = admitted {
                return Err(self.refuse(event, Reason::RateLimited { retry_after }));
            }
        }
        let record = Arc::new(Record::new(event));
        let offset = self.accept(record.clone()).map_err(|(reason, record)| {
            // Nobody else has seen it.
            let event = Arc::try_unwrap(record).map_or_else(|shared| shared.event().clone(), Record::into_event);
            self.refuse(event, reason)
        });
        if let (Ok(_), Some(tap)) = (&offset, self.tap.get()) {
            tap(record.event());
        }
        offset.map(|offset| Published { offset })
    }

    /// Takes events in that somebody else admitted; what finds no room is counted.
    #[cfg(feature = "layer")]
    pub fn pass_on<'r>(&self, records: impl Iterator<Item = &'r SharedRecord>) {
        for record in records {
            if self.accept(record.clone()).is_err() {
                self.missed.fetch_add(1, Relaxed);
            }
        }
    }

    /// Events that somebody else admitted and for which there was no room.
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    fn accept(&self, record: SharedRecord) -> Result<u64, (Reason, SharedRecord)> {
        let event = Weighed::new(record);
        let mut log = lock(&self.log);
        let pending = (log.ring.head() - log.handed_on) as usize;
        let full = pending >= self.pending.events || log.pending_bytes + event.bytes() > self.pending.bytes;
        if log.closed || full {
            let reason = if log.closed { Reason::Closed } else { Reason::Full };
            return Err((reason, event.record));
        }
        log.names.count(event.record.event().name.as_str());
        log.pending_bytes += event.bytes();
        let offset = log.ring.push(event);
        match log.dispatcher {
            Dispatcher::None => {
                log.handed_on = log.ring.head();
                log.pending_bytes = 0;
                lock(&self.rate).add(1, self.now());
            }
            Dispatcher::Asleep => {
                log.dispatcher = Dispatcher::Busy;
                self.work.notify_one();
            }
            Dispatcher::Busy => {}
        }
        // Where there is a dispatcher it does this, on its own time.
        let evicted = if log.dispatcher == Dispatcher::None { log.evict() } else { Vec::new() };
        drop(log);
        drop(evicted);
        Ok(offset)
    }

    fn refuse(&self, event: Event, reason: Reason) -> Refused {
        self.refused[reason.kind()].fetch_add(1, Relaxed);
        Refused { reason, event: Box::new(event) }
    }

    /// What was refused, by the kinds of reasons.
    pub fn refused(&self) -> [u64; Reason::KINDS] {
        self.refused.each_ref().map(|count| count.load(Relaxed))
    }

    /// What each source did; nothing where there are no limits.
    pub fn sources(&self) -> Vec<SourceStats> {
        self.limiter.as_ref().map(|limiter| lock(limiter).stats()).unwrap_or_default()
    }

    /// Published events by name, those that are still to be handed on, and the first offset in memory and the next.
    pub fn log_stats(&self) -> (Names, usize, u64, u64) {
        let log = lock(&self.log);
        let (first, head) = (log.ring.first(), log.ring.head());
        (log.names.clone(), (head - log.handed_on) as usize, first, head)
    }

    /// Events of the last second and of the last minute.
    pub fn rates(&self) -> (u64, u64) {
        lock(&self.rate).read(self.now())
    }

    /// At most `limit` events that fit and are still in memory, from an offset on.
    pub fn history(&self, from: u64, limit: usize, filter: &Filter) -> Page {
        let since = lock(&self.log).ring.since(from);
        Page::of(from, since, limit, filter)
    }

    /// All inboxes.
    pub fn subscriptions(&self) -> Arc<[Arc<Inbox>]> {
        lock(&self.subscriptions).clone()
    }

    /// Adds an inbox, unless its id is taken or nothing more comes; it is made for what comes from an offset on. Starts
    /// the dispatcher for the first.
    pub fn add(self: &Arc<Core>, id: &str, make: impl FnOnce(u64) -> Arc<Inbox>) -> Result<Arc<Inbox>, NotAdded> {
        let mut subscriptions = lock(&self.subscriptions);
        if subscriptions.iter().any(|inbox| *inbox.settings.id == *id) {
            return Err(NotAdded::Taken);
        }
        let mut log = lock(&self.log);
        if log.closed {
            return Err(NotAdded::Closed);
        }
        if log.dispatcher == Dispatcher::None {
            let core = self.clone();
            let spawned = thread::Builder::new().name("spanlight-bus".into()).spawn(move || core.dispatch());
            spawned.map_err(NotAdded::NoThread)?;
            log.dispatcher = Dispatcher::Busy;
        }
        let head = log.ring.head();
        drop(log);
        let inbox = make(head);
        *subscriptions = subscriptions.iter().cloned().chain([inbox.clone()]).collect();
        Ok(inbox)
    }

    /// Removes an inbox, and cancels it.
    pub fn remove(&self, inbox: &Arc<Inbox>) {
        let mut subscriptions = lock(&self.subscriptions);
        *subscriptions = subscriptions.iter().filter(|other| !Arc::ptr_eq(other, inbox)).cloned().collect();
        drop(subscriptions);
        inbox.cancel();
    }

    fn dispatch(&self) {
        let mut batch = Vec::with_capacity(Core::BATCH);
        while let Some(first) = self.next_batch(&mut batch) {
            lock(&self.rate).add(batch.len() as u64, self.now());
            for inbox in self.subscriptions().iter() {
                // Waking a task is code of others.
                let offered = catch_unwind(AssertUnwindSafe(|| inbox.offer(first, &batch, self)));
                drop(offered);
            }
        }
    }

    /// Fills the batch with what comes behind the last one, and says where that is; nothing once nothing more comes.
    fn next_batch(&self, batch: &mut Vec<Weighed>) -> Option<u64> {
        let (events, bytes) = (batch.len() as u64, batch.iter().map(|event| event.bytes()).sum::<usize>());
        batch.clear();
        let mut log = lock(&self.log);
        log.handed_on += events;
        log.pending_bytes -= bytes;
        if log.has_waiters {
            log.has_waiters = false;
            self.handed_on.notify_all();
        }
        let (evicted, is_idle) = (log.evict(), log.handed_on == log.ring.head());
        drop(log);
        drop(evicted);
        if is_idle {
            // Being woken costs a publisher more than publishing, so others may have their turn before this sleeps.
            thread::yield_now();
        }
        let mut log = lock(&self.log);
        while log.handed_on == log.ring.head() {
            if log.closed {
                return None;
            }
            log.dispatcher = Dispatcher::Asleep;
            log = self.work.wait(log).unwrap_or_else(PoisonError::into_inner);
        }
        log.dispatcher = Dispatcher::Busy;
        batch.extend(log.ring.from(log.handed_on).take(Core::BATCH).cloned());
        Some(log.handed_on)
    }

    /// Takes nothing more in.
    pub fn close(&self) {
        lock(&self.log).closed = true;
        self.work.notify_one();
    }

    /// Whether nothing more is taken in.
    pub fn is_closed(&self) -> bool {
        lock(&self.log).closed
    }

    /// Waits until what was published before is handed on to the inboxes; else how much is not.
    pub fn wait_until_handed_on(&self, deadline: Instant) -> usize {
        let mut log = lock(&self.log);
        let head = log.ring.head();
        while log.handed_on < head && Instant::now() < deadline {
            let patience = deadline.saturating_duration_since(Instant::now());
            log.has_waiters = true;
            log = self.handed_on.wait_timeout(log, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        head.saturating_sub(log.handed_on) as usize
    }
}

/// Why there is no inbox.
pub(super) enum NotAdded {
    Taken,
    Closed,
    NoThread(io::Error),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
