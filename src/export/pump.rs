//! The pump: queue, timeout, retry and counting, written once around every exporter.
//!
//! An exporter makes one attempt at one load. Everything else is here: how much may wait, what happens when it
//! is too much, how often an attempt is repeated, and what became of every item.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::queue::{Bounds, Load, NotTaken, Portion, Queue};
use super::{Exporter, Outcome, retry};
use crate::config::types::Span;
use crate::content::{Classes, Withholding};
use crate::flow::Refused;
use crate::health::{Count, DROPPED, FAILED, Health, QUEUE_BYTES, QUEUE_CAPACITY, QUEUE_SIZE, RETRIED, SENT};
use crate::otlp::{Batch, Limit};

/// The queue of an exporter. Keys are those of the OpenTelemetry Collector, and some of our own.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueueConfig {
    /// How many attempts may be under way at a time, each on a connection of its own.
    pub num_consumers: usize,
    /// How much may wait, in units of `sizer`.
    pub queue_size: usize,
    /// What `queue_size` counts.
    pub sizer: Sizer,
    /// The most items that may wait.
    pub max_items: usize,
    /// The most MiB that may wait.
    pub max_mib: usize,
    /// What happens when it is full.
    pub on_full: OnFull,
    /// How long a sender is made to wait for room before it is refused.
    pub patience: Span,
    /// An exporter whose attempts have failed for so long makes nobody wait any more: it alone loses.
    pub failing_after: Span,
}

/// What a queue's size counts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Sizer {
    /// Requests as they came.
    Requests,
    /// Spans, log records, data points or events.
    Items,
    /// Bytes.
    Bytes,
}

/// What happens when a queue is full.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum OnFull {
    /// Senders wait, and are then refused, unless the exporter has been failing for a while: then it alone loses.
    Wait,
    /// This exporter loses what does not fit; nobody waits.
    Drop,
}

impl Default for QueueConfig {
    fn default() -> QueueConfig {
        QueueConfig {
            num_consumers: 4,
            queue_size: 1000,
            sizer: Sizer::Requests,
            max_items: 200_000,
            max_mib: 64,
            on_full: OnFull::Wait,
            patience: Span(Duration::from_secs(2)),
            failing_after: Span(Duration::from_secs(15)),
        }
    }
}

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

/// What senders need of a pump.
#[derive(Clone)]
pub struct Inlet(Arc<Shared>);

/// Tells whether an exporter still works, and whether it has work.
#[derive(Clone)]
pub struct Liveness(Arc<Shared>);

/// What did not go out before the program stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The exporter.
    pub exporter: String,
    /// Items that were not delivered.
    pub items: usize,
}

/// More of what a receiver has to say is not for people.
const LONGEST_WORDS: usize = 400;

struct Shared {
    id: String,
    queue: Queue,
    settings: Settings,
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
    taken: AtomicUsize,
    done: AtomicUsize,
    was_done: Notify,
    counts: Counts,
}

struct Counts {
    sent: Count,
    retried: Count,
    rejected: Count,
    gave_up: Count,
    queue_full: Count,
    crashed: Count,
    left: Count,
}

impl Pump {
    /// Starts an exporter. `exporters` are its attempts that may be under way at a time.
    pub fn start(id: &str, signal: &str, settings: Settings, exporters: Vec<Exporter>, health: &Health) -> Pump {
        let queue = Queue::new(settings.queue.bounds());
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
            taken: AtomicUsize::new(0),
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
        Inlet(self.shared.clone())
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
        let (waiting, _) = self.shared.queue.size();
        self.shared.counts.left.add(waiting);
        Left { exporter: self.shared.id.clone(), items: self.shared.counts.left.get() as usize }
    }
}

impl Inlet {
    /// Waits until all of them have room at the same moment, so that whoever is let in may push to all. Refuses when
    /// that does not come to pass in time.
    pub async fn room<'p, I: Iterator<Item = &'p Inlet>>(pumps: impl Fn() -> I) -> Result<(), Refused> {
        let began = tokio::time::Instant::now();
        loop {
            let Some(Inlet(full)) = pumps().find(|pump| !pump.admits()) else { return Ok(()) };
            let deadline = began + full.settings.queue.patience.0;
            if tokio::time::Instant::now() >= deadline {
                let reason = format!("the queue of {} is full", full.id);
                return Err(Refused { reason, retry_after: Shared::RETRY_AFTER });
            }
            let gives_up = full.failing_at().map_or(deadline, |at| deadline.min(at.into()));
            full.queue.room(gives_up).await;
        }
    }

    /// Whether something may be sent now: there is room, or nobody waits for this exporter.
    fn admits(&self) -> bool {
        self.0.loses() || self.0.queue.has_room()
    }

    /// What tells the exporter that so many measurements were added to what it writes.
    pub fn into_change_sink(self) -> Box<dyn Fn(usize) + Send + Sync> {
        Box::new(move |changes| self.send(Load::Changes(changes)))
    }

    /// Puts something into the queue. Where nobody waits for room, what does not fit is dropped and counted.
    pub fn send(&self, load: Load) {
        let Shared { queue, settings, counts, .. } = &*self.0;
        if self.0.loses() && !queue.has_room() {
            counts.queue_full.add(load.items());
            return;
        }
        let push = |load: Load| {
            let items = load.items();
            self.0.taken.fetch_add(items, Relaxed);
            let pushed = queue.push(load);
            if pushed.is_err() {
                self.0.done.fetch_add(items, Relaxed);
            }
            match pushed {
                Ok(()) => {}
                Err(NotTaken::Full) => counts.queue_full.add(items),
                Err(NotTaken::Closed) => counts.left.add(items),
            }
        };
        match (load, settings.split) {
            (Load::Batches(batches), Some(limit)) => {
                batches.iter().flat_map(|batch| batch.split(limit)).for_each(|b| push(Load::Batches(vec![b])));
            }
            (load, _) => push(load),
        }
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

    fn show(self: &Arc<Shared>, signal: &str, health: &Health) {
        let labels = [("exporter", self.id.as_str()), ("signal", signal)];
        let shared = self.clone();
        health.gauge(QUEUE_SIZE, &labels, move || shared.queue.size().0 as f64);
        let shared = self.clone();
        health.gauge(QUEUE_BYTES, &labels, move || shared.queue.size().1 as f64);
        let shared = self.clone();
        health.gauge(QUEUE_CAPACITY, &labels, move || shared.queue.capacity() as f64);
    }

    /// Waits before the next attempt. Whether there should be one: not if it would come after the deadline of
    /// draining.
    async fn pause(&self, delay: Duration, receiver_asked: bool) -> bool {
        let wake = tokio::time::Instant::now() + delay;
        if !self.draining.is_cancelled() {
            tokio::select! {
                () = tokio::time::sleep_until(wake) => return true,
                // There is not much time left: whoever chose the delay alone tries once more at once.
                () = self.draining.cancelled() => if !receiver_asked { return true },
            }
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
    fn failing_at(&self) -> Option<Instant> {
        let since = *self.failing_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since + self.settings.queue.failing_after.0)
    }

    /// Whether it loses what does not fit, instead of making senders wait.
    fn loses(&self) -> bool {
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
        let load = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            load = shared.queue.pop(&shared.settings.portion) => load,
        };
        let Some(load) = load else { break };
        let items = load.items();
        // Content is withheld once for all attempts.
        let delivering = async { deliver(&shared, &mut exporter, &withhold(&shared.content, load)).await };
        tokio::select! {
            biased;
            delivered = AssertUnwindSafe(delivering).catch_unwind() => {
                if delivered.is_err() {
                    shared.counts.crashed.add(items);
                    crate::report::error(&format!("{}: a defect of ours lost {items} items", shared.id));
                }
            }
            () = shared.stop.cancelled() => {
                shared.counts.left.add(items);
                break;
            }
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

/// Tries until the load is delivered, refused for good, or given up.
async fn deliver(shared: &Shared, exporter: &mut Exporter, load: &Load) {
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
                return;
            }
            Outcome::Reject { why } => {
                shared.note(false);
                shared.counts.rejected.add(load.items());
                crate::report::error(&format!("{}: {} items were refused for good: {why}", shared.id, load.items()));
                return;
            }
            Outcome::Retry { after, why } => (after, why),
        };
        shared.note(true);
        let delay = retry.delay(attempt, after);
        let limit = retry.max_elapsed_time.0;
        if !retry.enabled || (!limit.is_zero() && began.elapsed() + delay > limit) {
            shared.counts.gave_up.add(load.items());
            crate::report::error(&format!("{}: gave up on {} items: {why}", shared.id, load.items()));
            return;
        }
        shared.counts.retried.add(1);
        if attempt == 0 {
            let delay = crate::duration::display(delay);
            crate::report::warn(&format!("{}: {why}; trying again in {delay} and so on", shared.id));
        }
        if !shared.pause(delay, after.is_some()).await {
            shared.counts.left.add(load.items());
            return;
        }
    }
}

// === impl QueueConfig, Counts ===

impl QueueConfig {
    /// Checks that the numbers make sense.
    pub fn validate(&self) -> Result<(), String> {
        if self.num_consumers == 0 || self.queue_size == 0 || self.max_items == 0 || self.max_mib == 0 {
            return Err("the numbers of a sending queue are 1 or more".into());
        }
        Ok(())
    }

    fn bounds(&self) -> Bounds {
        let mut bounds = Bounds { requests: usize::MAX, items: self.max_items, bytes: self.max_mib << 20 };
        match self.sizer {
            Sizer::Requests => bounds.requests = self.queue_size,
            Sizer::Items => bounds.items = self.queue_size,
            Sizer::Bytes => bounds.bytes = self.queue_size,
        }
        bounds
    }
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
            gave_up: failed("gave_up"),
            queue_full: dropped("queue_full"),
            crashed: dropped("crashed"),
            left: dropped("shutdown"),
        }
    }
}
