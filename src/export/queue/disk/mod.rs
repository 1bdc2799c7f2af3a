//! A queue on disk: a journal of its own, from which everything is deleted that was sent.
//!
//! What was put in is sent at least once, in the order in which it was put in. It is sent again only if the process ends
//! between an attempt and the answer to it; how much may have been is counted. In memory are a page of what comes next, and
//! what is on its way.
//!
//! In reading order: `entry` is what is written, this file is putting in, `take` taking out, `ledger` how much waits, `place`
//! how far it was sent, and `open` what is found at a start.

mod entry;
mod ledger;
mod open;
mod place;
mod take;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

use super::{Bounds, DiskAck, Load};
use crate::blocking::off_worker;
use crate::health::{Count, DROPPED, Health, REPEATED};
use crate::journal::{Ack, Appended, Cursor, Journal, Refused};
use entry::Sum;
use ledger::Ledger;
use take::{Reader, Sending};

pub use crate::journal::Refused as CannotWrite;
pub use open::Settings;

/// A queue on disk.
pub struct DiskQueue {
    journal: Journal,
    cursor: Cursor,
    ack: DiskAck,
    bounds: Bounds,
    books: Arc<Books>,
    reader: tokio::sync::Mutex<Reader>,
    sending: Mutex<Sending>,
    filled: Arc<Notify>,
    emptied: Notify,
    closed: AtomicBool,
    in_a_hurry: AtomicBool,
    /// Where that goes of which nobody waits to hear whether it was written.
    unheard: Mutex<Option<UnboundedSender<Writing>>>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

/// What was put in, on its way to the disk.
#[must_use = "whether it was written is known only to whoever waits for it"]
pub struct Writing {
    appended: Option<Appended>,
    first: u64,
    items: usize,
    books: Arc<Books>,
    is_waited_for: bool,
}

/// How much waits, and what was lost.
struct Books {
    id: String,
    ledger: Mutex<Ledger>,
    /// The last attempt at writing failed.
    in_trouble: AtomicBool,
    counts: Counts,
}

struct Counts {
    queue_full: Count,
    disk_full: Count,
    disk_failed: Count,
    too_large: Count,
    unreadable: Count,
    /// Sent again after a start: it was on its way when the process ended, or nobody knows whether it was.
    unfinished: Count,
    unknown: Count,
    /// Written here, and refused because another queue could not be written.
    refused_elsewhere: Count,
}

impl DiskQueue {
    /// Puts something at the end, all of it or nothing. What is returned tells when it has reached the ack point.
    ///
    /// # Errors
    /// It cannot be written now: why, and under which reason it is counted if it is dropped.
    pub fn put(&self, loads: &[Load]) -> Result<Writing, Refused> {
        // Held until it has offsets: those and the sums that are written are of one order.
        let mut ledger = self.books.ledger();
        let (before, mut sum, mut entries) = (ledger.through(), Sum::default(), Vec::with_capacity(loads.len()));
        for load in loads {
            let Some((entry, of_entry)) = entry::write(load, before + sum) else { continue };
            entries.push(entry);
            sum = sum + of_entry;
        }
        // Whoever wants it only queued is told at once, but it is known here what becomes of it.
        let ack = if self.ack == DiskAck::Durable { Ack::Durable } else { Ack::Journal };
        let appended = self.journal.append(entries, ack);
        let appended = appended.inspect_err(|why| self.books.tell_of_trouble(why))?;
        let first = appended.offsets().start;
        ledger.begin(appended.offsets(), sum);
        let is_waited_for = self.ack != DiskAck::Memory;
        let (books, items) = (self.books.clone(), sum.items as usize);
        Ok(Writing { appended: Some(appended), first, items, books, is_waited_for })
    }

    /// Lets something be written without anybody waiting to hear of it. What cannot be is dropped and counted.
    pub fn forget(&self, writing: Writing) {
        let unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unheard) = &*unheard {
            // Who listens ends after the last sender is gone.
            unheard.send(writing).unwrap_or_default();
        }
    }

    /// Counts what was dropped.
    pub fn drop_for(&self, why: &Refused, items: usize) {
        self.books.drop_for(why, items);
    }

    /// Counts what is kept here, although its sender was told to send it again.
    pub fn kept_although_refused(&self, items: usize) {
        self.books.counts.refused_elsewhere.add(items);
    }

    /// Whether there is room for something.
    pub fn has_room(&self) -> bool {
        let waiting = self.books.ledger().waiting();
        let fits = |waiting: u64, most: usize| usize::try_from(waiting).is_ok_and(|waiting| waiting < most);
        let Bounds { requests, items, bytes } = self.bounds;
        fits(waiting.requests, requests)
            && fits(waiting.items, items)
            && fits(waiting.bytes, bytes)
            && self.journal.has_room()
    }

    /// Waits until there is room, at most until `deadline`.
    pub async fn room(&self, deadline: tokio::time::Instant) {
        /// What was sent is deleted in the background, which tells nobody.
        const AGAIN: Duration = Duration::from_millis(50);
        let room = async {
            loop {
                let emptied = self.emptied.notified();
                if self.has_room() {
                    return;
                }
                tokio::time::timeout(AGAIN, emptied).await.unwrap_or_default();
            }
        };
        tokio::time::timeout_at(deadline, room).await.unwrap_or_default();
    }

    /// Lets nothing of what is in it wait for company.
    pub fn hurry(&self) {
        self.in_a_hurry.store(true, Relaxed);
        self.filled.notify_one();
    }

    /// Takes no more; what is in it can still be taken out.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
        self.filled.notify_waiters();
        self.filled.notify_one();
    }

    /// Items and bytes that wait or are on their way.
    pub fn size(&self) -> (usize, usize) {
        let waiting = self.books.ledger().waiting();
        (waiting.items as usize, waiting.bytes as usize)
    }

    /// How much it has room for.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Writes everything down, for the next start. Blocks for as long as that takes.
    pub async fn end(&self) {
        off_worker(|| {
            self.journal.close();
            self.sending().sync();
        });
        drop(self.unheard.lock().unwrap_or_else(PoisonError::into_inner).take());
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = listener {
            // It has nothing to wait for any more, since all was written or was not.
            listener.await.unwrap_or_default();
        }
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears what became of that of which nobody else waits to hear.
async fn listen(mut unheard: UnboundedReceiver<Writing>) {
    while let Some(mut writing) = unheard.recv().await {
        if let Err(why) = writing.written().await {
            writing.books.drop_for(&why, writing.items);
        }
    }
}

impl Writing {
    /// How many items it is.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Whether the ack point is further than where it is now.
    pub fn is_waited_for(&self) -> bool {
        self.is_waited_for
    }

    /// Waits until it is written, or is not. May be called off, and begun again.
    pub async fn written(&mut self) -> Result<(), Refused> {
        let Some(appended) = &mut self.appended else { return Ok(()) };
        let result = appended.await;
        self.appended = None;
        match result {
            Ok(_) => {
                self.books.ledger().written(self.first);
                if self.books.in_trouble.swap(false, Relaxed) {
                    crate::report::warn(&format!("{}: its queue can be written again", self.books.id));
                }
                Ok(())
            }
            Err(why) => {
                self.books.ledger().refused(self.first);
                self.books.tell_of_trouble(&why);
                Err(why)
            }
        }
    }
}

impl Books {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says once that nothing can be written, until something can again.
    fn tell_of_trouble(&self, why: &Refused) {
        if !self.in_trouble.swap(true, Relaxed) {
            crate::report::error(&format!("{}: its queue on disk takes nothing: {why}", self.id));
        }
    }

    fn drop_for(&self, why: &Refused, items: usize) {
        let Counts { queue_full, disk_full, disk_failed, too_large, .. } = &self.counts;
        let count = match why {
            Refused::QueueFull | Refused::Closed => queue_full,
            Refused::DiskFull => disk_full,
            Refused::TooLong => too_large,
            Refused::Failed(_) => disk_failed,
        };
        count.add(items);
    }
}

impl Counts {
    fn new(id: &str, signal: &str, health: &Health) -> Counts {
        let dropped = |reason| health.counter(DROPPED, &[("component", id), ("signal", signal), ("reason", reason)]);
        let repeated = |reason| health.counter(REPEATED, &[("exporter", id), ("signal", signal), ("reason", reason)]);
        Counts {
            queue_full: dropped("queue_full"),
            disk_full: dropped("disk_full"),
            disk_failed: dropped("disk_failed"),
            too_large: dropped("too_large"),
            unreadable: dropped("unreadable"),
            unfinished: repeated("unfinished"),
            unknown: repeated("unknown"),
            refused_elsewhere: repeated("refused_elsewhere"),
        }
    }
}
