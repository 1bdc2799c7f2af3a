//! Recent events with their offsets, bounded in number and bytes: what the bus and the hub remember.

use std::collections::VecDeque;

use crate::event::Filter;
use crate::flow::SharedRecord;

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

/// An event, and what queues want to know of it: they do not look into it, because every core that does so waits for its
/// memory.
#[derive(Clone, Debug)]
pub(crate) struct Weighed {
    pub record: SharedRecord,
    /// About what it takes in memory.
    bytes: u32,
    pub priority: u8,
    /// Whether it may expire.
    pub is_mortal: bool,
}

/// The last events. Offsets grow by one.
#[derive(Debug)]
pub(crate) struct Ring {
    events: VecDeque<Weighed>,
    first: u64,
    bytes: usize,
    capacity: usize,
    most_bytes: usize,
}

impl Weighed {
    pub fn new(record: SharedRecord) -> Weighed {
        let event = record.event();
        let bytes = 1024 + event.data.as_json().len() + event.message.as_deref().map_or(0, str::len);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Weighed { bytes, priority: event.priority.get(), is_mortal: event.ttl_s.is_some(), record }
    }

    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes as usize
    }
}

impl Ring {
    pub fn new(capacity: usize, most_bytes: usize) -> Ring {
        Ring { events: VecDeque::new(), first: 0, bytes: 0, capacity, most_bytes }
    }

    /// Takes an event in, whose offset is returned. [`Ring::evict`] makes room.
    pub fn push(&mut self, event: Weighed) -> u64 {
        let offset = self.head();
        self.bytes += event.bytes();
        self.events.push_back(event);
        offset
    }

    /// The oldest event, if there are more than fit without those from the offset `kept` on, which take `kept_bytes`
    /// and stay in any case.
    pub fn evict(&mut self, kept: u64, kept_bytes: usize) -> Option<SharedRecord> {
        let old = kept.saturating_sub(self.first) as usize;
        if old == 0 || (old <= self.capacity && self.bytes - kept_bytes <= self.most_bytes) {
            return None;
        }
        let oldest = self.events.pop_front()?;
        self.bytes -= oldest.bytes();
        self.first += 1;
        Some(oldest.record)
    }

    /// The offset that the next event will have.
    pub fn head(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// The offset of the oldest event.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The events from an offset on, oldest first.
    pub fn from(&self, offset: u64) -> impl Iterator<Item = &Weighed> {
        let skip = usize::try_from(offset.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.events.range(skip.min(self.events.len())..)
    }

    /// The offset of the oldest event, and all from an offset on, to be looked at outside of a lock.
    pub fn since(&self, offset: u64) -> (u64, Vec<SharedRecord>) {
        (self.first, self.from(offset).map(|event| event.record.clone()).collect())
    }
}

impl Page {
    /// At most `limit` events that fit, of those from an offset on.
    pub(crate) fn of(from: u64, (first, events): (u64, Vec<SharedRecord>), limit: usize, filter: &Filter) -> Page {
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
}
