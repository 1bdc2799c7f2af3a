//! Recent events in memory, each with its offset, for whoever reads them: the API, the stream, subscribers in process.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::bus::{Ring, Weighed};
use crate::event::Filter;
use crate::flow::SharedRecord;

pub use crate::bus::Page;

/// The last events. Offsets grow by one within an epoch; a restart begins another.
#[derive(Debug)]
pub struct Hub {
    epoch: String,
    ring: Mutex<Ring>,
    head: watch::Sender<u64>,
    closed: AtomicBool,
}

impl Hub {
    /// Whatever the number of events, no more of them than this is kept.
    const MOST_BYTES: usize = 64 << 20;

    /// Keeps this many events.
    pub fn new(capacity: usize) -> Hub {
        let epoch = Uuid::now_v7().simple().to_string();
        let ring = Mutex::new(Ring::new(capacity, Hub::MOST_BYTES));
        Hub { epoch, ring, head: watch::Sender::new(0), closed: AtomicBool::new(false) }
    }

    /// Tells the offsets of one run of the program from those of another.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Takes events in.
    pub fn publish(&self, records: &[SharedRecord]) {
        let mut ring = self.lock();
        records.iter().for_each(|record| _ = ring.push(Weighed::new(record.clone())));
        let head = ring.head();
        while ring.evict(head, 0).is_some() {}
        drop(ring);
        self.head.send_replace(head);
    }

    /// Says that no more events come.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
        self.head.send_modify(|_| {});
    }

    /// Whether no more events come.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// The offset that the next event will have.
    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// The offset of the oldest event in memory.
    pub fn first(&self) -> u64 {
        self.lock().first()
    }

    /// Tells of new events.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// At most `limit` events that fit, from an offset on.
    pub fn read(&self, from: u64, limit: usize, filter: &Filter) -> Page {
        // Looking at events is done outside the lock, which every new one waits for.
        let since = self.lock().since(from);
        Page::of(from, since, limit, filter)
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, EventName, Timestamp};
    use crate::flow::Record;
    use std::sync::Arc;

    #[test]
    fn offsets_grow_and_what_is_gone_is_said() {
        let hub = Hub::new(3);
        let record =
            |name: &str| Arc::new(Record::new(Event::named(EventName::parse(name).unwrap(), Timestamp::default())));
        hub.publish(&["a.a", "a.b", "a.c", "a.d", "a.e"].map(record));
        let page = hub.read(0, 2, &Filter::default());
        assert_eq!(page.events.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [2, 3]);
        assert_eq!((page.next, page.gap, hub.head()), (4, Some((0, 2)), 5));
        let filter = Filter::from_pairs([("name", "a.e")], Timestamp::default()).unwrap();
        let page = hub.read(2, 10, &filter);
        assert_eq!((page.events.len(), page.next, page.gap), (1, 5, None));
        assert_eq!(hub.read(99, 10, &filter).next, 99);
    }
}
