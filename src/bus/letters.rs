//! Events that a subscription could not handle or had no room for, kept to be read and replayed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ring::Weighed;
use crate::event::{Event, Timestamp};
use crate::flow::SharedRecord;

/// Why an event is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeathReason {
    /// The handler returned an error, at every attempt.
    Failed,
    /// The handler, or the predicate, panicked.
    Panicked,
    /// There was no room for it, or it gave way to another.
    Overflow,
}

/// An event that a subscription did not get, or could not handle.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its number, by which it can be replayed.
    pub id: u64,
    /// Which subscription it was for.
    pub subscription: Arc<str>,
    /// Why it is here.
    pub reason: DeathReason,
    /// What the handler said, or panicked with.
    pub error: Option<Arc<str>>,
    /// How often it was tried; 0 for what had no room.
    pub attempts: u32,
    /// When it came here.
    pub at: Timestamp,
    /// The offset of the event.
    pub offset: u64,
    pub(super) event: Weighed,
}

/// Which dead letters are meant: across fields all must fit; the default means every one.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    /// Those of one reason.
    pub reason: Option<DeathReason>,
    /// Those of one subscription.
    pub subscription: Option<String>,
}

/// The dead letters of a bus, bounded in number and bytes: the oldest leave.
#[derive(Debug)]
pub(super) struct Letters {
    kept: Mutex<Kept>,
    capacity: usize,
    most_bytes: usize,
    forgotten: AtomicU64,
    counts: [AtomicU64; 3],
}

#[derive(Debug, Default)]
struct Kept {
    letters: VecDeque<DeadLetter>,
    next: u64,
    bytes: usize,
}

impl Letters {
    pub fn new(capacity: usize, most_bytes: usize) -> Letters {
        Letters {
            kept: Mutex::default(),
            capacity,
            most_bytes,
            forgotten: AtomicU64::new(0),
            counts: Default::default(),
        }
    }

    /// Keeps letters, whose numbers are given here.
    pub fn keep(&self, letters: impl IntoIterator<Item = DeadLetter>) {
        let mut kept = self.lock();
        for letter in letters {
            kept.next += 1;
            kept.bytes += letter.event.bytes();
            self.counts[letter.reason as usize].fetch_add(1, Relaxed);
            let id = kept.next;
            kept.letters.push_back(DeadLetter { id, ..letter });
            while kept.letters.len() > self.capacity || kept.bytes > self.most_bytes {
                let Some(oldest) = kept.letters.pop_front() else { break };
                kept.bytes -= oldest.event.bytes();
                self.forgotten.fetch_add(1, Relaxed);
            }
        }
    }

    /// Takes one back that was taken out, to where it was.
    pub fn put_back(&self, letter: DeadLetter) {
        let mut kept = self.lock();
        kept.bytes += letter.event.bytes();
        let at = kept.letters.partition_point(|other| other.id < letter.id);
        kept.letters.insert(at, letter);
    }

    /// Letters of a reason so far.
    #[cfg(feature = "layer")]
    pub fn count(&self, reason: DeathReason) -> u64 {
        self.counts[reason as usize].load(Relaxed)
    }

    pub fn list(&self, filter: &LetterFilter) -> Vec<DeadLetter> {
        self.lock().letters.iter().filter(|letter| filter.matches(letter)).cloned().collect()
    }

    /// Takes out those that are meant.
    pub fn take(&self, wanted: impl Fn(&DeadLetter) -> bool) -> Vec<DeadLetter> {
        let mut kept = self.lock();
        let (taken, left): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut kept.letters).into_iter().partition(|letter| wanted(letter));
        kept.letters = left;
        kept.bytes -= taken.iter().map(|letter| letter.event.bytes()).sum::<usize>();
        taken.into()
    }

    pub fn len(&self) -> usize {
        self.lock().letters.len()
    }

    /// Letters that left because there was no more room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeadLetter {
    /// The event.
    pub fn event(&self) -> &Event {
        self.event.record.event()
    }

    /// The event as it is shared.
    pub fn record(&self) -> &SharedRecord {
        &self.event.record
    }
}

impl LetterFilter {
    /// Whether it means this one.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        self.reason.is_none_or(|reason| reason == letter.reason)
            && self.subscription.as_deref().is_none_or(|subscription| *subscription == *letter.subscription)
    }
}

impl DeathReason {
    /// How it is spelled in labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            DeathReason::Failed => "failed",
            DeathReason::Panicked => "panicked",
            DeathReason::Overflow => "overflow",
        }
    }
}

impl fmt::Display for DeathReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
