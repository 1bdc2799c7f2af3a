//! The pump: queue, timeout, retry and counting, written once around every exporter.
//!
//! An exporter makes one attempt at one load. Everything else is here: how much may wait, what happens when it
//! is too much, how often an attempt is repeated, and what became of every item.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::queue::{Bounds, Load, MemoryQueue, OnFull, Portion, Queue, QueueConfig, Taken};
use super::{Exporter, Inlet, Outcome, retry};
use crate::content::{Classes, Withholding};
use crate::flow::Refused;
use crate::health::{
    Count, DROPPED, FAILED, Health, QUEUE_BYTES, QUEUE_CAPACITY, QUEUE_LIMIT, QUEUE_SIZE, RETRIED, SENT,
};
use crate::otlp::{Batch, Limit};

/// How an exporter is pumped.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Its queue.
    pub queue: QueueConfig,
    /// Its retries.
    pub retry: retry::Config,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How much goes into one attempt.
    pub portion: Portion,
    /// Larger batches are split on their way in.
    pub split: Option<Limit>,
    /// What becomes of content before it goes out.
    pub content: Classes,
}

/// A running exporter.
pub struct Pump {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
}

/// Tells whether an exporter still works, and whether it has work.
#[derive(Clone)]
pub struct Liveness(Arc<Shared>);

/// What did not go out before the program stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The exporter.
    pub exporter: String,
    /// Items that were not delivered, and never will be.
    pub items: usize,
    /// Items that are on disk, and are sent after the next start.
    pub kept: usize,
}

/// More of what a receiver has to say is not for people.
const LONGEST_WORDS: usize = 400;

/// What the workers of a pump and its senders share.
pub(super) struct Shared {
    pub id: String,
    pub queue: Queue,
    pub settings: Settings,
    content: Withholding,
    /// Since when every attempt has failed.
    failing_since: Mutex<Option<Instant>>,
    /// Nothing more comes, and what waits has until the deadline.
    draining: CancellationToken,
    deadline: OnceLock<tokio::time::Instant>,
    stop: CancellationToken,
    /// How many workers are alive.
    workers: AtomicUsize,
    /// Items that were taken into the queue, and those of which is known what became of them.
    pub taken: AtomicUsize,
    pub done: AtomicUsize,
    was_done: Notify,
    pub counts: Counts,
}

pub(super) struct Counts {
    sent: Count,
    retried: Count,
    rejected: Count,
    unauthenticated: Count,
    gave_up: Count,
    pub queue_full: Count,
    crashed: Count,
    pub left: Count,
}

impl Pump {
    /// Starts an exporter whose queue is in memory. `exporters` are its attempts that may be under way at a time.
    pub fn start(id: &str, signal: &str, settings: Settings, exporters: Vec<Exporter>, health: &Health) -> Pump {
        let queue = Queue::Memory(MemoryQueue::new(settings.queue.bounds()));
        Pump::with_queue(queue, id, signal, settings, exporters, health)
    }

    /// Starts an exporter behind a queue in which something may wait already.
    pub fn with_queue(
        queue: Queue,
        id: &str,
        signal: &str,
        settings: Settings,
        exporters: Vec<Exporter>,
        health: &Health,
    ) -> Pump {
        let (waiting, _) = queue.size();
        let shared = Arc::new(Shared {
            id: id.to_owned(),
            queue,
            settings,
            content: Withholding::new(settings.content, id, health),
            failing_since: Mutex::new(None),
            draining: CancellationToken::new(),
            deadline: OnceLock::new(),
            stop: CancellationToken::new(),
            workers: AtomicUsize::new(exporters.len()),
            taken: AtomicUsize::new(waiting),
            done: AtomicUsize::new(0),
            was_done: Notify::new(),
            counts: Counts::new(id, signal, health),
        });
        shared.show(signal, health);
        let mut workers = JoinSet::new();
        for exporter in exporters {
            workers.spawn(work(shared.clone(), exporter));
        }
        Pump { shared, workers }
    }

    /// Where senders put things.
    pub fn inlet(&self) -> Inlet {
        Inlet::new(self.shared.clone())
    }

    /// For whoever asks whether the exporter still works.
    pub fn liveness(&self) -> Liveness {
        Liveness(self.shared.clone())
    }

    /// Takes no more, and delivers what waits until the deadline.
    pub async fn drain(mut self, deadline: tokio::time::Instant) -> Left {
        self.shared.deadline.get_or_init(|| deadline);
        self.shared.draining.cancel();
        self.shared.queue.close();
        let all = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline, all).await.is_err() {
            self.shared.stop.cancel();
            // Workers see the stop at once; what they hold is counted as left.
            while self.workers.join_next().await.is_some() {}
        }
        let Shared { id, queue, counts, .. } = &*self.shared;
        if let Queue::Disk(queue) = queue {
            queue.end().await;
        }
        let (waiting, _) = queue.size();
        if !queue.is_on_disk() {
            counts.left.add(waiting);
        }
        let kept = if queue.is_on_disk() { waiting } else { 0 };
        Left { exporter: id.clone(), items: counts.left.get() as usize, kept }
    }
}

impl Liveness {
    /// Why the exporter works no more, if it does not.
    pub fn died(&self) -> Option<String> {
        let all_ended = self.0.workers.load(Relaxed) == 0 && !self.0.stop.is_cancelled();
        all_ended.then(|| format!("the exporter {} has ended", self.0.id))
    }

    /// Waits until of everything that was sent before is known what became of it.
    pub async fn idle(&self) {
        let taken = self.0.taken.load(Relaxed);
        self.0.queue.hurry();
        loop {
            let was_done = self.0.was_done.notified();
            if self.0.done.load(Relaxed) >= taken || self.0.workers.load(Relaxed) == 0 {
                return;
            }
            was_done.await;
        }
    }

    /// Items of which is not known yet what becomes of them.
    pub fn pending(&self) -> usize {
        self.0.taken.load(Relaxed).saturating_sub(self.0.done.load(Relaxed))
    }

    /// The exporter.
    pub fn id(&self) -> &str {
        &self.0.id
    }
}

impl Shared {
    const RETRY_AFTER: Duration = Duration::from_secs(1);

    /// Waits until of so much is known what became of it.
    ///
    /// # Errors
    /// It takes too long. It is still on its way, and the receiver may have it twice when it is sent again.
    pub async fn delivered_until(&self, until: usize) -> Result<(), Refused> {
        let deadline = tokio::time::Instant::now() + self.settings.queue.patience.0;
        loop {
            let was_done = self.was_done.notified();
            // What is left at the end is delivered by nobody.
            if self.stop.is_cancelled() {
                return Err(self.refused("is not delivered before the end"));
            }
            if self.queue.is_settled(until) {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, was_done).await.is_err() {
                return Err(self.refused("is not delivered in time"));
            }
        }
    }

    /// What is said to senders of which nothing is taken.
    pub fn refused(&self, why: &str) -> Refused {
        Refused { reason: format!("the queue of {} {why}", self.id), retry_after: Shared::RETRY_AFTER }
    }

    fn show(self: &Arc<Shared>, signal: &str, health: &Health) {
        let labels = [("exporter", self.id.as_str()), ("signal", signal)];
        let shared = self.clone();
        health.gauge(QUEUE_SIZE, &labels, move || shared.queue.size().0 as f64);
        let shared = self.clone();
        health.gauge(QUEUE_BYTES, &labels, move || shared.queue.size().1 as f64);
        let Bounds { items, bytes, .. } = self.queue.bounds();
        if items < usize::MAX {
            health.gauge(QUEUE_CAPACITY, &labels, move || items as f64);
        }
        if bytes < usize::MAX {
            health.gauge(QUEUE_LIMIT, &labels, move || bytes as f64);
        }
    }

    /// Waits before the next attempt. Whether there should be one: not if it would come after the deadline of
    /// draining.
    async fn pause(&self, delay: Duration, receiver_asked: bool) -> bool {
        let wake = tokio::time::Instant::now() + delay;
        if !self.draining.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep_until(wake) => return true,
                // There is not much time left: whoever chose the delay alone tries once more at once.
                () = self.draining.cancelled() => if !receiver_asked && !self.queue.is_on_disk() { return true },
            }
        }
        if self.queue.is_on_disk() {
            // It is sent after the next start; nobody need wait for a receiver that may not come back.
            return false;
        }
        let in_time = self.deadline.get().is_some_and(|deadline| wake < *deadline);
        if in_time {
            tokio::time::sleep_until(wake).await;
        }
        in_time
    }

    /// An attempt failed, or one succeeded in reaching a receiver that lives.
    fn note(&self, failed: bool) {
        let mut since = self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = if failed { since.or_else(|| Some(Instant::now())) } else { None };
    }

    /// Counts what was delivered, and says what the receiver has to say of it.
    fn delivered(&self, load: &Load, rejected: usize, why: &str) {
        // A receiver cannot leave out more than it was sent.
        let rejected = rejected.min(load.items());
        self.counts.sent.add(load.items() - rejected);
        self.counts.rejected.add(rejected);
        let why = crate::console::cut(why, LONGEST_WORDS);
        if rejected > 0 {
            crate::report::warn(&format!("{}: the receiver left out {rejected} items: {why}", self.id));
        } else if !why.is_empty() {
            crate::report::warn(&format!("{}: the receiver took all and says: {why}", self.id));
        }
    }

    /// When it has failed for so long that nobody waits for it any more; nothing while it works.
    pub fn failing_at(&self) -> Option<Instant> {
        let since = *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        Some(since? + self.settings.queue.failing_after()?)
    }

    /// Whether it loses what does not fit, instead of making senders wait.
    pub fn loses(&self) -> bool {
        let has_failed_for_long = || self.failing_at().is_some_and(|at| at <= Instant::now());
        self.settings.queue.on_full == OnFull::Drop || has_failed_for_long()
    }
}

/// Counts a worker as alive for as long as it is, however it ends.
struct Alive<'s>(&'s Shared);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.workers.fetch_sub(1, Relaxed);
    }
}

/// Delivers loads one after the other, until the queue is closed and empty, or the stop comes.
async fn work(shared: Arc<Shared>, mut exporter: Exporter) {
    let _alive = Alive(&shared);
    loop {
        let taken = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            taken = shared.queue.pop(&shared.settings.portion) => taken,
        };
        let Some(Taken { load, place }) = taken else { break };
        let items = load.items();
        // Content is withheld once for all attempts.
        let delivering = async { deliver(&shared, &mut exporter, &withhold(&shared.content, load)).await };
        let delivered = tokio::select! {
            biased;
            delivered = AssertUnwindSafe(delivering).catch_unwind() => delivered.unwrap_or_else(|_| {
                shared.counts.crashed.add(items);
                crate::report::error(&format!("{}: a defect of ours lost {items} items", shared.id));
                true
            }),
            () = shared.stop.cancelled() => false,
        };
        if delivered {
            shared.queue.settle(place);
        } else if shared.queue.is_on_disk() {
            break;
        } else {
            shared.counts.left.add(items);
        }
        shared.done.fetch_add(items, Relaxed);
        shared.was_done.notify_waiters();
    }
    exporter.close().await;
}

/// The load without the content that is withheld.
fn withhold(content: &Withholding, load: Load) -> Load {
    match load {
        Load::Batches(batches) => {
            let withheld = |batch: Batch| content.batch(&batch).unwrap_or(batch);
            Load::Batches(batches.into_iter().map(withheld).collect())
        }
        Load::Events(events) => Load::Events(content.records(events)),
        load @ Load::Changes(_) => load,
    }
}

/// Tries until the load is delivered, refused for good, or given up. Whether one of these came to pass before the end.
async fn deliver(shared: &Shared, exporter: &mut Exporter, load: &Load) -> bool {
    let began = Instant::now();
    let Settings { retry, timeout, .. } = &shared.settings;
    for attempt in 0.. {
        let outcome = match tokio::time::timeout(*timeout, exporter.export(load)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                Outcome::Retry { after: None, why: format!("no answer within {}", crate::duration::display(*timeout)) }
            }
        };
        let (after, why) = match outcome {
            Outcome::Done { rejected, why } => {
                shared.note(false);
                shared.delivered(load, rejected, &why);
                return true;
            }
            Outcome::Reject { why } => {
                shared.note(false);
                shared.counts.rejected.add(load.items());
                crate::report::error(&format!("{}: {} items were refused for good: {why}", shared.id, load.items()));
                return true;
            }
            Outcome::Denied { why } => {
                shared.note(false);
                shared.counts.unauthenticated.add(load.items());
                crate::report::error(&format!(
                    "{}: {} items were refused for good, because the receiver does not believe who we are, which `auth` or \
                     `headers` of this exporter say: {why}",
                    shared.id,
                    load.items()
                ));
                return true;
            }
            Outcome::Retry { after, why } => (after, why),
        };
        shared.note(true);
        let delay = retry.delay(attempt, after);
        let is_too_long = |limit| began.elapsed() + delay > limit;
        if !retry.enabled || retry.limit(shared.queue.is_on_disk()).is_some_and(is_too_long) {
            shared.counts.gave_up.add(load.items());
            crate::report::error(&format!("{}: gave up on {} items: {why}", shared.id, load.items()));
            return true;
        }
        shared.counts.retried.add(1);
        if attempt == 0 {
            let delay = crate::duration::display(delay);
            crate::report::warn(&format!("{}: {why}; trying again in {delay} and so on", shared.id));
        }
        if !shared.pause(delay, after.is_some()).await {
            return false;
        }
    }
    false
}

impl Counts {
    fn new(id: &str, signal: &str, health: &Health) -> Counts {
        let labels = [("exporter", id), ("signal", signal)];
        let failed = |reason| health.counter(FAILED, &[labels[0], labels[1], ("reason", reason)]);
        let dropped = |reason| health.counter(DROPPED, &[("component", id), ("signal", signal), ("reason", reason)]);
        Counts {
            sent: health.counter(SENT, &labels),
            retried: health.counter(RETRIED, &labels),
            rejected: failed("rejected"),
            unauthenticated: failed("unauthenticated"),
            gave_up: failed("gave_up"),
            queue_full: dropped("queue_full"),
            crashed: dropped("crashed"),
            left: dropped("shutdown"),
        }
    }
}
