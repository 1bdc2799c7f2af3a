//! What became of the events of one subscription: counted by its reader, read by anybody.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::inbox::Inbox;
use super::latency::{Latencies, Latency};
use crate::event::{Filter, Timestamp};

/// What became of the events of a subscription. `offered` is always the sum of `delivered`, `failed`, `panicked`,
/// `expired`, `filtered`, `overflowed`, `discarded` and `waiting`, and of what is being handled.
#[derive(Clone, Debug, PartialEq)]
pub struct Analytics {
    /// Its id.
    pub id: Arc<str>,
    /// Which events it asked for.
    pub filter: Filter,
    /// Events that fit the filter, and those that were replayed to it.
    pub offered: u64,
    /// Events that were handled well, or given to whoever reads a stream.
    pub delivered: u64,
    /// Events that are dead letters because the handler returned an error at every attempt.
    pub failed: u64,
    /// Events that are dead letters because the handler panicked.
    pub panicked: u64,
    /// Events that were not worth delivering any more when it was their turn.
    pub expired: u64,
    /// Events that the predicate did not want.
    pub filtered: u64,
    /// Events that are dead letters because there was no room for them.
    pub overflowed: u64,
    /// Events that waited when the subscription was canceled.
    pub discarded: u64,
    /// Events that wait.
    pub waiting: usize,
    /// Attempts that failed and were repeated.
    pub retried: u64,
    /// How long the handler takes; nothing before it has handled anything, and of streams.
    pub latency: Option<Latency>,
    /// What the handler said, or panicked with, last.
    pub last_error: Option<Arc<str>>,
    /// When the last event was delivered.
    pub last_delivered_at: Option<Timestamp>,
    /// Whether it is paused.
    pub is_paused: bool,
}

/// The counters. Those that only the reader writes need no addition that others could take part in.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(super) delivered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) filtered: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) latencies: Latencies,
    pub(super) last_error: Mutex<Option<Arc<str>>>,
    pub(super) last_delivered: AtomicI64,
    /// Written by several.
    pub(super) expired_waiting: AtomicU64,
    pub(super) overflowed: AtomicU64,
    pub(super) discarded: AtomicU64,
}

impl Default for Counters {
    fn default() -> Counters {
        let zero = AtomicU64::default;
        Counters {
            delivered: zero(),
            failed: zero(),
            panicked: zero(),
            expired: zero(),
            filtered: zero(),
            retried: zero(),
            latencies: Latencies::new(),
            last_error: Mutex::default(),
            last_delivered: AtomicI64::new(i64::MIN),
            expired_waiting: zero(),
            overflowed: zero(),
            discarded: zero(),
        }
    }
}

impl Inbox {
    /// What became of its events so far.
    pub fn analytics(&self) -> Analytics {
        let (offered, waiting) = self.offered_and_waiting();
        let counters = &self.counters;
        let read = |count: &AtomicU64| count.load(Relaxed);
        let last_delivered = Some(counters.last_delivered.load(Relaxed)).filter(|at| *at != i64::MIN);
        Analytics {
            id: self.settings.id.clone(),
            filter: self.settings.filter.clone(),
            offered,
            delivered: read(&counters.delivered),
            failed: read(&counters.failed),
            panicked: read(&counters.panicked),
            expired: read(&counters.expired) + read(&counters.expired_waiting),
            filtered: read(&counters.filtered),
            overflowed: read(&counters.overflowed),
            discarded: read(&counters.discarded),
            waiting,
            retried: read(&counters.retried),
            latency: counters.latencies.read(),
            last_error: counters.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            last_delivered_at: last_delivered.map(Timestamp::from_micros),
            is_paused: self.is_paused(),
        }
    }
}
