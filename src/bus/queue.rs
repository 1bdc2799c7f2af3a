//! What waits for a subscriber: more urgent events first, in the order of their coming among equals, within bounds.

use std::collections::VecDeque;

use super::ring::Weighed;
use crate::event::Timestamp;

/// What gives way where there is no room for one more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The least urgent event, the oldest of these; the new one if it is the least urgent itself.
    #[default]
    LeastUrgent,
    /// The event that came first.
    Oldest,
    /// The new event.
    Newest,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub events: usize,
    pub bytes: usize,
}

/// An event that waits.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub offset: u64,
    /// Whether it was delivered, or offered, before.
    pub is_replay: bool,
    pub event: Weighed,
}

/// The queue: a lane for each priority.
#[derive(Debug)]
pub(super) struct Queue {
    lanes: [VecDeque<Entry>; Queue::LANES],
    /// A bit for each lane that has anything.
    occupied: u16,
    len: usize,
    bytes: usize,
    /// Events that may expire.
    mortal: usize,
    /// Whether priorities count for nothing.
    in_order: bool,
}

impl Queue {
    const LANES: usize = 10;
    /// Where an empty queue's most urgent event stands: behind all.
    pub const NONE: u8 = Queue::LANES as u8;

    pub fn new(in_order: bool) -> Queue {
        Queue { lanes: Default::default(), occupied: 0, len: 0, bytes: 0, mortal: 0, in_order }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The lane of the next event.
    pub fn most_urgent(&self) -> u8 {
        (self.occupied.trailing_zeros() as u8).min(Queue::NONE)
    }

    /// Takes an event in, and gives back what has no room for it; `hand` is what was taken out and still counts.
    pub fn take_in(&mut self, entry: Entry, bounds: Bounds, hand: Bounds, policy: Overflow, out: &mut Vec<Entry>) {
        let lane = entry.lane(self.in_order);
        let bytes = entry.event.bytes();
        while self.len + hand.events >= bounds.events.max(1) || self.bytes + hand.bytes + bytes > bounds.bytes {
            match self.victim(lane, policy).and_then(|lane| self.pop_from(lane)) {
                Some(victim) => out.push(victim),
                None => return out.push(entry),
            }
        }
        self.push(lane, entry);
    }

    fn push(&mut self, lane: u8, entry: Entry) {
        self.count(lane, &entry);
        self.lanes[usize::from(lane)].push_back(entry);
    }

    /// Takes back what was taken out last.
    pub fn put_back(&mut self, entry: Entry) {
        let lane = entry.lane(self.in_order);
        self.count(lane, &entry);
        self.lanes[usize::from(lane)].push_front(entry);
    }

    fn count(&mut self, lane: u8, entry: &Entry) {
        self.len += 1;
        self.bytes += entry.event.bytes();
        self.mortal += usize::from(entry.event.is_mortal);
        self.occupied |= 1 << lane;
    }

    /// The lane whose oldest event gives way to a new one; none if that is the new one itself.
    fn victim(&self, new: u8, policy: Overflow) -> Option<u8> {
        match policy {
            Overflow::Newest => None,
            Overflow::LeastUrgent => (u16::BITS - self.occupied.leading_zeros())
                .checked_sub(1)
                .map(|lane| lane as u8)
                .filter(|lane| *lane >= new),
            Overflow::Oldest => {
                let front = |lane: &u8| self.lanes[usize::from(*lane)].front().map_or(u64::MAX, |entry| entry.offset);
                (0..Queue::NONE).filter(|lane| self.occupied & (1 << lane) != 0).min_by_key(front)
            }
        }
    }

    /// The next event.
    pub fn pop(&mut self) -> Option<Entry> {
        self.pop_before(Queue::NONE)
    }

    /// The next event if it is more urgent than those of a lane.
    pub fn pop_before(&mut self, lane: u8) -> Option<Entry> {
        Some(self.most_urgent()).filter(|next| *next < lane).and_then(|next| self.pop_from(next))
    }

    fn pop_from(&mut self, lane: u8) -> Option<Entry> {
        let entries = self.lanes.get_mut(usize::from(lane))?;
        let entry = entries.pop_front()?;
        if entries.is_empty() {
            self.occupied &= !(1 << lane);
        }
        self.len -= 1;
        self.bytes -= entry.event.bytes();
        self.mortal -= usize::from(entry.event.is_mortal);
        Some(entry)
    }

    /// Removes what is not worth delivering any more, and says how many these were.
    pub fn expire(&mut self, now: Timestamp) -> usize {
        if self.mortal == 0 {
            return 0;
        }
        let before = self.len;
        for (lane, entries) in self.lanes.iter_mut().enumerate() {
            let (bytes, mortal, len) = (&mut self.bytes, &mut self.mortal, &mut self.len);
            entries.retain(|entry| {
                let is_expired = entry.event.is_mortal && entry.event.record.event().is_expired(now);
                if is_expired {
                    *bytes -= entry.event.bytes();
                    *mortal -= 1;
                    *len -= 1;
                }
                !is_expired
            });
            if entries.is_empty() {
                self.occupied &= !(1 << lane);
            }
        }
        before - self.len
    }

    /// Removes everything, and says how many these were.
    pub fn clear(&mut self) -> usize {
        let len = self.len;
        *self = Queue::new(self.in_order);
        len
    }
}

impl Entry {
    /// How urgent it is: 0 goes first.
    pub fn lane(&self, in_order: bool) -> u8 {
        if in_order { 0 } else { self.event.priority - 1 }
    }
}
