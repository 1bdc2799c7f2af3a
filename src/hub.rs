//! Recent events, each with its offset, for whoever reads them: the API, the stream, subscribers in process.
//!
//! The last ones are in memory; what came before may be in a [`Past`], and then offsets outlive the process.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

pub use crate::bus::Page;
use crate::event::Filter;
use crate::flow::{Mirrored, SharedRecord};

/// The last events. Offsets grow within an epoch; without a past, a restart begins another.
pub struct Hub {
    epoch: String,
    capacity: usize,
    ring: Mutex<Ring>,
    head: watch::Sender<u64>,
    closed: AtomicBool,
    past: Option<Box<dyn Past>>,
    mirrors: bool,
    behind: AtomicBool,
}

/// What remembers events when they have left memory, and gives them their offsets.
pub trait Past: Send + Sync {
    /// Tells these offsets from others of the same numbers.
    fn epoch(&self) -> String;

    /// Takes events in, and says their offsets. It must not wait; they may be shown once [`Hub::settled`] was called.
    fn take(&self, records: &[SharedRecord]) -> Range<u64>;

    /// The offset behind the last one that was handed out.
    fn head(&self) -> u64;

    /// Some events that fit from an offset on, and before another. It may look at a part of what is there, and says how
    /// far it has come.
    fn read(&self, offsets: Range<u64>, limit: usize, filter: &Filter) -> Page;
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<(u64, SharedRecord)>,
    /// The offset behind the last that is not here any more.
    first: u64,
    bytes: usize,
}

impl Ring {
    fn keep(&mut self, events: impl Iterator<Item = (u64, SharedRecord)>, capacity: usize) {
        for (offset, record) in events {
            self.bytes += size(&record);
            self.events.push_back((offset, record));
        }
        while self.events.len() > capacity || self.bytes > Hub::MOST_BYTES {
            let Some((offset, oldest)) = self.events.pop_front() else { break };
            self.bytes -= size(&oldest);
            self.first = offset + 1;
        }
    }
}

impl Hub {
    /// Whatever the number of events, no more of them than this is kept.
    const MOST_BYTES: usize = 64 << 20;

    /// Events that are taken out of memory at a time, however many are behind the place that is read from, to be looked at.
    const AT_A_TIME: usize = 512;

    /// Keeps this many events.
    pub fn new(capacity: usize) -> Hub {
        let epoch = Uuid::now_v7().simple().to_string();
        Hub::begin(epoch, 0, capacity, None)
    }

    /// Keeps this many events in memory, of those that the past has.
    pub fn with_past(capacity: usize, past: Box<dyn Past>) -> Hub {
        let hub = Hub::begin(past.epoch(), past.head(), capacity, Some(past));
        hub.recall();
        hub
    }

    /// The last events of the past are in memory from the beginning, so that they are at hand as if nothing had happened.
    fn recall(&self) {
        const AT_MOST: u64 = 1000;
        let Some(past) = &self.past else { return };
        let head = self.head();
        let mut next = head.saturating_sub(AT_MOST.min(self.capacity as u64));
        let mut ring = self.lock();
        ring.first = next;
        while next < head {
            let page = past.read(next..head, self.capacity, &Filter::default());
            if let Some((_, gap)) = page.gap {
                ring.first = gap;
                ring.events.clear();
            }
            ring.events.extend(page.events);
            if page.next == next {
                break;
            }
            next = page.next;
        }
        ring.bytes = ring.events.iter().map(|(_, record)| size(record)).sum();
    }

    /// Keeps this many events of a log that several collectors read, and show under the same offsets and epoch.
    pub fn mirroring(capacity: usize, epoch: String) -> Hub {
        Hub { mirrors: true, behind: AtomicBool::new(true), ..Hub::begin(epoch, 0, capacity, None) }
    }

    fn begin(epoch: String, head: u64, capacity: usize, past: Option<Box<dyn Past>>) -> Hub {
        let ring = Mutex::new(Ring { first: head, ..Ring::default() });
        let (head, not) = (watch::Sender::new(head), || AtomicBool::new(false));
        Hub { epoch, capacity, ring, head, closed: not(), past, mirrors: false, behind: not() }
    }

    /// Tells these offsets from others of the same numbers.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Takes events in.
    pub fn publish(&self, records: &[SharedRecord]) {
        let mut ring = self.lock();
        // Under the lock, so that they are here in the order of their offsets.
        let offsets = match &self.past {
            Some(past) => past.take(records),
            None => *self.head.borrow()..*self.head.borrow() + records.len() as u64,
        };
        let head = offsets.end;
        ring.keep(offsets.zip(records.iter().cloned()), self.capacity);
        if self.past.is_none() {
            self.head.send_replace(head);
        }
    }

    /// Takes in what has its offsets already.
    pub fn mirror(&self, part: &Mirrored) {
        let mut ring = self.lock();
        if let Some(first) = part.first {
            // What is missing is said to whoever has not come as far as this.
            ring.events.clear();
            (ring.bytes, ring.first) = (0, first);
        }
        ring.keep(part.events.iter().cloned(), self.capacity);
        self.behind.store(part.is_behind, Relaxed);
        self.head.send_modify(|head| *head = part.head.max(*head));
    }

    /// Whether these offsets are those of other collectors, which may be ahead.
    pub fn is_mirror(&self) -> bool {
        self.mirrors
    }

    /// Whether there is still to be read what others have shown already, so that nobody should begin here.
    pub fn is_behind(&self) -> bool {
        self.behind.load(Relaxed)
    }

    /// The past has got all events below an offset, or cannot: they may be shown.
    pub fn settled(&self, head: u64) {
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

    /// The offset of the oldest event in memory; there may be older ones in the past.
    pub fn first(&self) -> u64 {
        self.lock().first
    }

    /// Why there are offsets that cannot be had, in a few words.
    pub fn why_gone(&self) -> &'static str {
        if self.past.is_some() { "no longer kept" } else { "no longer in memory" }
    }

    /// Tells of new events.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// At most `limit` events that fit, from an offset on. Of the past only a part is looked at: there is more as long as
    /// `next` is not the head.
    pub fn read(&self, from: u64, limit: usize, filter: &Filter) -> Page {
        let (head, is_all) = (self.head(), filter.is_empty());
        let at_a_time = if is_all { limit.min(Hub::AT_A_TIME) } else { Hub::AT_A_TIME };
        let (first, mut events) = self.since(from, at_a_time);
        match &self.past {
            Some(past) if from < first.min(head) => return past.read(from..first.min(head), limit, filter),
            _ => {}
        }
        let start = from.max(first);
        let mut page = Page { next: start, gap: (from < first).then_some((from, first)), ..Page::default() };
        while !events.is_empty() {
            for (offset, record) in events {
                if page.events.len() == limit || offset >= head {
                    return page;
                }
                page.next = offset + 1;
                if is_all || filter.matches(record.event()) {
                    page.events.push((offset, record));
                }
            }
            if page.events.len() == limit {
                return page;
            }
            let (first, more) = self.since(page.next, at_a_time);
            // What has left memory meanwhile is missing for whoever goes on from here.
            events = if first > page.next { Vec::new() } else { more };
        }
        page
    }

    /// The offset of the oldest event in memory, and some events from an offset on, none if there are no more. Looking at
    /// them is done outside the lock, which every new event waits for.
    fn since(&self, from: u64, most: usize) -> (u64, Vec<(u64, SharedRecord)>) {
        let ring = self.lock();
        let skip = ring.events.partition_point(|(offset, _)| *offset < from);
        (ring.first, ring.events.iter().skip(skip).take(most).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("epoch", &self.epoch).field("head", &self.head()).finish_non_exhaustive()
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

    #[test]
    fn what_is_taken_out_piece_by_piece_is_whole() {
        let hub = Hub::new(10_000);
        let record = |agent: usize| Arc::new(Record::new(Event::agent_started(&(agent % 3).to_string())));
        (0..1500).for_each(|number| hub.publish(&[record(number)]));
        let all = hub.read(0, usize::MAX, &Filter::default());
        assert_eq!(all.events.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), (0..1500).collect::<Vec<_>>());
        let some = hub.read(100, 400, &Filter::from_pairs([("agent", "0")], Timestamp::default()).unwrap());
        assert_eq!((some.events.len(), some.events[0].0, some.next, some.gap), (400, 102, 1300, None));
    }
}
