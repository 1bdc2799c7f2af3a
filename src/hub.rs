//! Recent events in memory, each with its offset, for whoever reads them: the API, the stream, subscribers in process.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use crate::event::Filter;
use crate::flow::SharedRecord;

/// The last events. Offsets grow by one within an epoch; a restart begins another.
#[derive(Debug)]
pub struct Hub {
    epoch: String,
    capacity: usize,
    ring: Mutex<Ring>,
    head: watch::Sender<u64>,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<SharedRecord>,
    /// The offset of the first.
    first: u64,
    bytes: usize,
}

/// Some events, and where to go on.
#[derive(Debug, Default)]
pub struct Page {
    /// Events with their offsets, oldest first.
    pub events: Vec<(u64, SharedRecord)>,
    /// The offset behind the last one that was looked at.
    pub next: u64,
    /// Offsets that were asked for and are gone: from, and up to but not including.
    pub gap: Option<(u64, u64)>,
}

impl Hub {
    /// Whatever the number of events, no more of them than this is kept.
    const MOST_BYTES: usize = 64 << 20;

    /// Keeps this many events.
    pub fn new(capacity: usize) -> Hub {
        let epoch = Uuid::now_v7().simple().to_string();
        Hub { epoch, capacity, ring: Mutex::default(), head: watch::Sender::new(0), closed: AtomicBool::new(false) }
    }

    /// Tells the offsets of one run of the program from those of another.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Takes events in.
    pub fn publish(&self, records: &[SharedRecord]) {
        let mut ring = self.lock();
        for record in records {
            ring.bytes += size(record);
            ring.events.push_back(record.clone());
        }
        while ring.events.len() > self.capacity || ring.bytes > Hub::MOST_BYTES {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes -= size(&oldest);
            ring.first += 1;
        }
        let head = ring.first + ring.events.len() as u64;
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
        self.lock().first
    }

    /// Tells of new events.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// At most `limit` events that fit, from an offset on.
    pub fn read(&self, from: u64, limit: usize, filter: &Filter) -> Page {
        let (first, events) = self.since(from);
        let start = from.max(first);
        let mut page = Page { next: start, gap: (from < first).then_some((from, first)), ..Page::default() };
        for (offset, record) in (start..).zip(events) {
            if page.events.len() == limit {
                break;
            }
            page.next = offset + 1;
            if filter.matches(record.event()) {
                page.events.push((offset, record));
            }
        }
        page
    }

    /// The offset of the oldest event in memory, and all events from an offset on. Looking at them is done outside
    /// the lock, which every new event waits for.
    fn since(&self, from: u64) -> (u64, Vec<SharedRecord>) {
        let ring = self.lock();
        let skip = usize::try_from(from.saturating_sub(ring.first)).unwrap_or(usize::MAX);
        (ring.first, ring.events.iter().skip(skip).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About what an event takes in memory.
fn size(record: &SharedRecord) -> usize {
    1024 + record.event().data.as_json().len()
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
