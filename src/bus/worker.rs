//! The reader of an inbox that calls a handler: a thread of its own, so that one that panics or hangs is alone.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use std::{io, thread};

use super::delivery::Delivery;
use super::dispatch::Core;
use super::inbox::{Hand, Inbox, Next};
use super::latency::bump;
use super::letters::DeathReason;
use super::queue::Entry;

/// A handler: what went wrong, if anything did.
pub(crate) type Handler = Box<dyn FnMut(&Delivery) -> Option<String> + Send>;

/// Starts the thread.
pub(crate) fn spawn(inbox: Arc<Inbox>, core: Arc<Core>, handler: Handler) -> io::Result<()> {
    let name = format!("bus/{}", inbox.settings.id);
    // The names of threads end at a zero byte, and may have none.
    let builder = thread::Builder::new().name(name.replace('\0', " "));
    builder.spawn(move || Worker { inbox, core, handler, stopwatch: Stopwatch::default() }.run())?;
    Ok(())
}

struct Worker {
    inbox: Arc<Inbox>,
    core: Arc<Core>,
    handler: Handler,
    stopwatch: Stopwatch,
}

/// What came of an attempt.
enum Outcome {
    Done,
    Error(Arc<str>),
    Panic(Arc<str>),
}

impl Worker {
    fn run(mut self) {
        let mut hand = Hand::default();
        loop {
            match self.inbox.next(&mut hand) {
                Next::Event(entry) => self.deliver(entry),
                Next::Nothing => {
                    self.stopwatch.stop(&self.inbox, &self.core);
                    // Sleeping and being woken costs more than letting others have their turn, behind which there may be
                    // more to do.
                    thread::yield_now();
                    self.inbox.sleep(None);
                }
                Next::End => break,
            }
        }
        self.stopwatch.stop(&self.inbox, &self.core);
        self.inbox.leave(&mut hand);
    }

    fn deliver(&mut self, entry: Entry) {
        if !self.inbox.is_wanted(&entry, &self.core) {
            return;
        }
        let mut delivery = Delivery { entry, attempt: 1 };
        let settings = &self.inbox.settings;
        let mut pause = settings.backoff;
        loop {
            self.stopwatch.start();
            let outcome = attempt(&mut self.handler, &delivery);
            self.stopwatch.count(&self.inbox, &self.core);
            match outcome {
                Outcome::Done => return bump(&self.inbox.counters.delivered, 1),
                Outcome::Panic(error) => {
                    return self.inbox.bury(delivery.entry, DeathReason::Panicked, delivery.attempt, error, &self.core);
                }
                Outcome::Error(error) if delivery.attempt >= settings.attempts || self.inbox.is_canceled() => {
                    return self.inbox.bury(delivery.entry, DeathReason::Failed, delivery.attempt, error, &self.core);
                }
                Outcome::Error(error) => self.inbox.remember(error),
            }
            self.stopwatch.stop(&self.inbox, &self.core);
            self.inbox.back_off(pause);
            bump(&self.inbox.counters.retried, 1);
            (delivery.attempt, pause) = (delivery.attempt + 1, pause.saturating_mul(2));
        }
    }
}

impl Inbox {
    /// Whether an event is to be delivered now. If it is not, that is counted.
    pub(super) fn is_wanted(&self, entry: &Entry, core: &Core) -> bool {
        let event = entry.event.record.event();
        if entry.event.is_mortal && event.is_expired(core.now()) {
            bump(&self.counters.expired, 1);
            return false;
        }
        let Some(predicate) = &self.settings.predicate else { return true };
        match catch_unwind(AssertUnwindSafe(|| predicate(event))) {
            Ok(true) => true,
            Ok(false) => {
                bump(&self.counters.filtered, 1);
                false
            }
            Err(panic) => {
                self.bury(entry.clone(), DeathReason::Panicked, 0, said(&*panic), core);
                false
            }
        }
    }

    fn bury(&self, entry: Entry, reason: DeathReason, attempts: u32, error: Arc<str>, core: &Core) {
        self.remember(error.clone());
        core.letters.keep([self.letter(entry, reason, attempts, Some(error), core)]);
        match reason {
            DeathReason::Panicked => bump(&self.counters.panicked, 1),
            DeathReason::Failed | DeathReason::Overflow => bump(&self.counters.failed, 1),
        }
    }

    fn remember(&self, error: Arc<str>) {
        *self.counters.last_error.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
    }
}

fn attempt(handler: &mut Handler, delivery: &Delivery) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| handler(delivery))) {
        Ok(None) => Outcome::Done,
        Ok(Some(error)) => Outcome::Error(crate::event::message(&error)),
        Err(panic) => Outcome::Panic(said(&*panic)),
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    crate::event::message(text.unwrap_or("a panic without a text"))
}

/// Measures handlers. Reading the clock takes longer than a quick handler does, so those are measured several at a time.
struct Stopwatch {
    began: Option<Instant>,
    /// Attempts since then.
    attempts: u64,
    /// Nanoseconds of an attempt, as measured last.
    usual: u64,
}

impl Stopwatch {
    /// What takes no longer is quick.
    const QUICK: u64 = 2_000;
    const AT_A_TIME: u64 = 8;

    fn start(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }

    fn count(&mut self, inbox: &Inbox, core: &Core) {
        self.attempts += 1;
        if self.usual > Stopwatch::QUICK || self.attempts == Stopwatch::AT_A_TIME {
            self.stop(inbox, core);
        }
    }

    /// Counts what was measured. If it was more than usual, one of several may have taken all of it.
    fn stop(&mut self, inbox: &Inbox, core: &Core) {
        let Some(began) = self.began.take().filter(|_| self.attempts > 0) else { return };
        let (nanos, attempts) = (began.elapsed().as_nanos() as u64, std::mem::take(&mut self.attempts));
        let mean = nanos / attempts;
        let longest = nanos.saturating_sub(self.usual.min(mean) * (attempts - 1));
        inbox.counters.latencies.add(mean, attempts, longest);
        self.usual = mean;
        inbox.counters.last_delivered.store(core.now().as_micros(), Relaxed);
    }
}

impl Default for Stopwatch {
    /// The first attempt is measured alone.
    fn default() -> Stopwatch {
        Stopwatch { began: None, attempts: 0, usual: u64::MAX }
    }
}
